//! How relationships end, in every cloud: scenario D11 10.

use std::time::Duration;

use api::ErrorReason as Reason;
use api::relationship as wire;
use api::relationship::check_access_request::Target;
use api::relationship::{RelationshipState, SubscriptionStatus};
use clock::Clock;
use prost_types::Timestamp;
use tonic::{Response, Status};

use super::cloud::{CLOUDS, Cloud};
use super::history::{types, watched_until};
use super::system::System;
use super::{Caller, refused};

const DAY: Duration = Duration::from_hours(24);

/// A time so many days from now.
fn in_days(days: u32) -> Option<Timestamp> {
    Some(api::field::timestamp(Clock::system().now().plus(DAY * days).micros()))
}

async fn request(caller: &Caller, name: &str, days: Option<u32>) -> Result<wire::Relationship, Status> {
    let request = wire::RequestTerminationRequest {
        name: name.to_owned(),
        reason: "we part".to_owned(),
        effective_time: days.and_then(in_days),
        ..Default::default()
    };
    caller.relationships().request_termination(request).await.map(Response::into_inner)
}

async fn cancel(caller: &Caller, name: &str) -> Result<wire::Relationship, Status> {
    let request = wire::CancelTerminationRequest { name: name.to_owned(), ..Default::default() };
    caller.relationships().cancel_termination(request).await.map(Response::into_inner)
}

/// The name of the relationship of ada and gwen, established with all that is asked for by default.
async fn established(cloud: &Cloud, ada: &Caller, gwen: &Caller) -> String {
    let link = ada.link(&cloud.partner(0), "reseller.azure-ad.office-365").await.expect("a link");
    let answer = gwen.accept(cloud.acceptance(&link.token, &cloud.customer(0))).await.expect("accepted");
    answer.into_inner().relationship.expect("established").name
}

async fn feed(otto: &Caller, cloud: &Cloud, status: SubscriptionStatus) {
    let subscription = wire::Subscription {
        name: format!("{}/subscriptions/office-seats", cloud.customer(0)),
        service: "office-365".to_owned(),
        status: status.into(),
        original_reseller: cloud.partner(0),
        ..Default::default()
    };
    let request =
        wire::UpdateSubscriptionRequest { subscription: Some(subscription), allow_missing: true, ..Default::default() };
    otto.subscriptions().update_subscription(request).await.expect("an operator keeps the records");
}

#[tokio::test(flavor = "multi_thread")]
async fn d11_10_n40_n41_n43_r53_an_active_subscription_blocks_the_termination_and_without_it_everything_ends() {
    let system = System::start().await;
    for cloud in &CLOUDS {
        let (ada, gwen) = (system.person(cloud, "ada").await, system.person(cloud, "gwen").await);
        let (otto, billing) = (system.person(cloud, "otto").await, system.person(cloud, "billing").await);
        let (partner, customer) = (cloud.partner(0), cloud.customer(0));
        let name = established(cloud, &ada, &gwen).await;
        feed(&otto, cloud, SubscriptionStatus::Active).await;
        let mail = format!("{customer}/subscriptions/office-seats");
        let told = refused(request(&ada, &name, None).await, Reason::TerminationBlocked, ["N41", cloud.id, &mail], &[]);
        assert_eq!(told.conditions, [("TERMINATION_BLOCKED".to_owned(), mail.clone())]);
        assert!(told.message.contains("suspend or cancel"), "the remedy: {}", told.message);
        let list = wire::ListTerminationBlockersRequest { name: name.clone() };
        let listed = gwen.relationships().list_termination_blockers(list).await.expect("its own").into_inner();
        assert_eq!(listed.blockers.iter().map(|it| it.resource.as_str()).collect::<Vec<_>>(), [mail.as_str()]);

        feed(&otto, cloud, SubscriptionStatus::Suspended).await;
        let ended = request(&ada, &name, None).await.expect("N41: suspending is enough");
        assert_eq!(ended.state(), RelationshipState::Terminated, "{}", cloud.id);
        assert!(ada.customers(&partner).await.is_empty(), "R25, I7");
        assert!(gwen.holders(&customer).await.is_empty(), "I1");
        for (action, service) in
            [(wire::Action::ManageUsers, "azure-ad"), (wire::Action::ProvisionSubscription, "office-365")]
        {
            let check = wire::CheckAccessRequest {
                partner: partner.clone(),
                customer: customer.clone(),
                action: action.into(),
                target: Some(Target::Service(service.to_owned())),
                consistency: None,
            };
            let answer = billing.access().check_access(check).await.expect("an answer").into_inner();
            assert!(!answer.allowed, "{}: N40: {answer:?}", cloud.id);
        }
        let more = [("state", "TERMINATED")];
        refused(request(&gwen, &name, None).await, Reason::RelationshipNotActive, ["I11", cloud.id, &name], &more);
        let is_end = |events: &[api::notification::Event]| types(events).contains(&"relationship.terminated");
        let seen = watched_until(&gwen, &customer, 0, is_end).await;
        let ends = seen.iter().filter(|event| event.reason == "we part").map(|event| event.r#type.as_str());
        assert_eq!(ends.collect::<Vec<_>>(), ["delegation.closed", "delegation.closed", "relationship.terminated"]);
        assert_eq!(types(&watched_until(&ada, &partner, 0, is_end).await), types(&seen), "both sides read it");
        assert_ne!(established(cloud, &ada, &gwen).await, name, "N43: a new acceptance makes a new relationship");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn n47_d4_either_side_gives_notice_and_it_alone_takes_it_back() {
    let system = System::start().await;
    for cloud in &CLOUDS {
        let (ada, gwen) = (system.person(cloud, "ada").await, system.person(cloud, "gwen").await);
        let name = established(cloud, &ada, &gwen).await;
        let more = [("minimum", "0 days"), ("maximum", "365 days")];
        let late = request(&ada, &name, Some(400)).await;
        let told = refused(late, Reason::DurationOutOfRange, ["N47", cloud.id, &name], &more);
        assert_eq!(told.fields, ["effective_time"]);
        let none = cancel(&ada, &name).await;
        let more = [("state", "ACTIVE")];
        refused(none, Reason::RelationshipNotTerminating, ["I11", cloud.id, &name], &more);
        for (giver, other) in [(&ada, &gwen), (&gwen, &ada)] {
            let noticed = request(giver, &name, Some(30)).await.expect("a notice passes");
            assert_eq!(noticed.state(), RelationshipState::Terminating, "{}", cloud.id);
            assert_eq!(noticed.delegated_services, ["azure-ad", "office-365"], "R28: until then it binds");
            let more = [("requested_by", "*")];
            refused(cancel(other, &name).await, Reason::TerminationOfOtherSide, ["D4", cloud.id, &name], &more);
            let kept = cancel(giver, &name).await.expect("its own");
            assert_eq!((kept.state(), kept.termination), (RelationshipState::Active, None));
        }
        let uma = system.person(cloud, "uma").await;
        let more = [("permission", "relationships.terminate"), ("roles", "*")];
        refused(request(&uma, &name, None).await, Reason::RoleRequired, ["AIP-211", cloud.id, ""], &more);
    }
}
