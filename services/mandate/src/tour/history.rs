//! Both sides read what happened: watched as it comes, and listed later.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::cast::Cast;
use super::stage::{Expected, Player, Stage, answered, refused};
use crate::contract::{list, text};
use crate::failure::{Failure, Refusal};

/// How long an event may take from its cause to its reader.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads the feeds.
pub(super) async fn play(stage: &mut Stage, cast: &Cast) -> Result<(), Failure> {
    let customer = cast.customer("first");
    let mut types =
        vec!["relationship.established", "delegation.granted", "delegation.removedByCustomer", "delegation.reassigned"];
    if cast.consent().is_some() {
        types.push("agreement.accepted");
    }
    let title = "the customer watches what happened in its tenant";
    watch(stage, title, &cast.clerk, (&customer, &types)).await?;
    let partner = cast.partner("partner");
    let title = "the partner watches the same, as far as it concerns it";
    watch(stage, title, &cast.agent, (&partner, &types)).await?;
    listed(stage, cast, &customer).await
}

/// Watches a feed from its start until every one of these types was seen.
async fn watch(stage: &mut Stage, title: &str, who: &Player, (feed, types): (&str, &[&str])) -> Result<(), Failure> {
    let request = json!({ "parent": feed, "afterSequence": "0" });
    let sent = format!("{} calls EventService/WatchEvents {request}", who.label);
    let wanted: BTreeSet<&str> = types.iter().copied().collect();
    let mut seen = Vec::new();
    let watching = async {
        let mut answers = who.session.stream("EventService/WatchEvents", &request).await?;
        while let Some(answer) = answers.next().await? {
            if let Some(event) = answer.get("event").filter(|event| !event.is_null()) {
                seen.push(json!({ "sequence": event["sequence"], "type": event["type"] }));
                let types: BTreeSet<&str> = seen.iter().map(|event| text(event, "/type")).collect();
                if wanted.is_subset(&types) {
                    break;
                }
            }
        }
        Ok(())
    };
    let outcome = match tokio::time::timeout(PATIENCE, watching).await {
        Ok(Ok(())) | Err(_) => Ok(json!({ "events": seen })),
        Ok(Err(Failure::Refused(status))) => Err(Refusal::of(&status)),
        Ok(Err(other)) => return Err(other),
    };
    let expected = answered().that("sequences from 1 without gaps", |answer| is_gapless(list(answer, "/events"))).that(
        format!("each of {}", types.join(", ")),
        {
            let types: Vec<String> = types.iter().map(|name| (*name).to_owned()).collect();
            move |answer| {
                let events = list(answer, "/events");
                let happened = |name: &str| events.iter().any(|event| text(event, "/type") == name);
                types.iter().all(|name| happened(name))
            }
        },
    );
    stage.report(title, &sent, &outcome, &expected)
}

fn is_gapless(events: &[Value]) -> bool {
    let sequences = events.iter().map(|event| text(event, "/sequence").parse().ok());
    sequences.eq((1..=events.len()).map(Some))
}

async fn listed(stage: &mut Stage, cast: &Cast, customer: &str) -> Result<(), Failure> {
    let request = json!({ "parent": customer, "filter": "type = \"relationship.established\"" });
    let call = ("EventService/ListEvents", request.clone());
    let actor = format!("{customer}/users/tour-admin");
    let expected = answered().is("/events/0/actor", actor).is("/events/0/cloud", cast.cloud.clone()).that(
        "events of that type only",
        |answer| {
            let mut events = list(answer, "/events").iter();
            events.all(|event| text(event, "/type") == "relationship.established")
        },
    );
    let title = "listed by type, with who did it";
    let events = stage.step(title, &cast.clerk, call, expected).await?;
    let name = text(&events, "/events/0/name").to_owned();
    let get = "EventService/GetEvent";
    let expected: Expected = answered().is("/name", name.clone());
    let call = (get, json!({ "name": name }));
    stage.step("and one by one", &cast.clerk, call, expected).await?;
    let expected = refused("RESOURCE_NOT_FOUND", "I12");
    let title = "a feed is nobody else's to read (I12)";
    stage.step(title, &cast.second, (get, json!({ "name": name })), expected).await?;
    let call = ("EventService/ListEvents", request);
    let expected = refused("RESOURCE_NOT_FOUND", "I12");
    stage.step("nor to list (I12)", &cast.agent, call, expected).await?;
    Ok(())
}
