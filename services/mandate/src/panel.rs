//! How to begin: printed by `mandate up` once everything answers. Every line of it can be pasted.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::requested_by_default;
use crate::contract::{Gateway, text};
use crate::demo::{Company, Demo, Employer};
use crate::failure::Failure;
use crate::screen;
use crate::up::{CloudPlace, Place};

/// The cloud that the lines to paste are for, when it is there.
const SHOWN: &str = "public";

/// Says how to begin. `mint` makes a token for a person of a cloud.
///
/// # Errors
/// When the terminal takes no more text, or the link of the demonstration cannot be had.
pub(crate) async fn show(
    place: &Place,
    gateway: &Gateway,
    mint: impl Fn(&str, &str) -> Option<String>,
    took: Duration,
) -> Result<(), Failure> {
    let mut panel = String::new();
    let (uri, data) = (&place.public_uri, place.data_dir.display());
    let seconds = took.as_secs_f32();
    // Writing to a text cannot fail.
    let _ = writeln!(panel, "\nMandate answers at {uri} after {seconds:.2} s. Its data is in {data}.");
    let _ = writeln!(
        panel,
        "This is a DEVELOPMENT start: anyone on this machine gets a token for any identity. Ctrl-C ends it.\n"
    );
    for cloud in &place.clouds {
        who_is_who(&mut panel, cloud);
    }
    let _ = writeln!(
        panel,
        "Everywhere: ada and bob are admin agents, sam is a sales agent, hal at the helpdesk; gwen and gus are global\n\
         administrators, uma is not; otto operates the cloud. `mandate token --cloud public --as ada` prints a token."
    );
    let shown = place.clouds.iter().find(|cloud| cloud.id == SHOWN);
    let shown = shown.or(place.clouds.first());
    if let Some((cloud, demo)) = shown.and_then(|cloud| Some((cloud, Demo::of(&cloud.id)?))) {
        let mint = |name: &str| mint(&cloud.id, name).unwrap_or_default();
        to_paste(&mut panel, (cloud, demo), gateway, mint).await?;
    }
    let tour = match uri.as_str() {
        "http://127.0.0.1:7070" => "mandate tour".to_owned(),
        other => format!("mandate tour --gateway {other}"),
    };
    let _ = writeln!(panel, "\n# The main job, step by step, in every cloud\n{tour}");
    screen::line(panel)
}

fn who_is_who(panel: &mut String, cloud: &CloudPlace) {
    let _ = writeln!(panel, "{}: {}, tokens from {}", cloud.id, cloud.title, cloud.issuer);
    let Some(demo) = Demo::of(&cloud.id) else {
        return;
    };
    let row = |panel: &mut String, what: &str, company: &Company, employer: Employer| {
        let people = demo.people().filter(|person| person.employer == employer);
        let people: Vec<&str> = people.map(|person| person.id).collect();
        let Company { id, name, country } = company;
        let unsigned = match employer {
            Employer::Partner(place) if !Demo::has_signed(place) => ", no contract",
            Employer::Partner(_) | Employer::Customer(_) | Employer::Operator | Employer::Cloud => "",
        };
        let name = format!("{name} ({country}{unsigned})");
        let people = people.join(", ");
        let _ = writeln!(panel, "  {what:<9} {id:<22} {name:<40} {people}");
    };
    for (place, partner) in demo.partners.iter().enumerate() {
        row(panel, "partner", partner, Employer::Partner(place));
    }
    for (place, customer) in demo.customers.iter().enumerate() {
        row(panel, "customer", customer, Employer::Customer(place));
    }
    panel.push('\n');
}

async fn to_paste(
    panel: &mut String,
    (cloud, demo): (&CloudPlace, &Demo),
    gateway: &Gateway,
    mint: impl Fn(&str) -> String,
) -> Result<(), Failure> {
    let (ada, gwen) = (mint("ada"), mint("gwen"));
    let partner = format!("partners/{}", demo.partners[0].id);
    let customer = format!("customers/{}", demo.customers[0].id);
    let session = gateway.session(&cloud.id, Some(&ada));
    let policy = json!({ "name": format!("clouds/{}/policy", cloud.id) });
    let policy = session.call("CloudService/GetCloudPolicy", &policy).await?.message;
    let mut services = requested_by_default(&policy);
    services.sort();
    let link = json!({ "name": format!("{partner}/invitationLinks/reseller.{}", services.join(".")) });
    let found = session.call("InvitationService/GetInvitationLink", &link).await?.message;
    let token = text(&found, "/token");

    let resolve = json!({ "token": token });
    let accept = acceptance(demo, &policy, token);
    let customers = json!({ "parent": partner });
    let check = json!({
        "partner": partner,
        "customer": customer,
        "action": "ACTION_MANAGE_USERS",
        "service": services.first(),
    });
    let host = gateway.uri().trim_start_matches("http://");
    let _ = writeln!(panel, "\nTo paste, in cloud {}; the tokens are good for an hour:\n", cloud.id);
    let _ = writeln!(panel, "# What can be called\ngrpcurl -plaintext {host} list");
    for (what, method, token, request) in [
        ("ada asks for the invitation link", "invitation.v1.InvitationService/GetInvitationLink", &ada, &link),
        ("gwen looks at who asks for what", "invitation.v1.InvitationService/ResolveInvitation", &gwen, &resolve),
        ("gwen accepts", "invitation.v1.InvitationService/AcceptInvitation", &gwen, &accept),
        ("ada lists her customers", "relationship.v1.RelationshipService/ListPartnerCustomers", &ada, &customers),
        ("may ada's company manage users?", "relationship.v1.AccessService/CheckAccess", &ada, &check),
    ] {
        let header = format!("-H 'authorization: Bearer {token}'");
        let _ = writeln!(panel, "\n# {what}\ngrpcurl -plaintext {header} -d '{request}' {host} mandate.{method}");
    }
    let uri = text(&found, "/uri");
    let _ = writeln!(panel, "\n# Where the link leads a browser\ncurl -i '{uri}'");
    Ok(())
}

/// The request by which the first customer accepts, with the agreement where one is due.
fn acceptance(demo: &Demo, policy: &Value, token: &str) -> Value {
    let customer = &demo.customers[0];
    let mut request = json!({ "token": token, "customer": format!("customers/{}", customer.id) });
    if let Some(agreement) = policy.get("requiredAgreement").filter(|found| !found.is_null()) {
        let email = format!("gwen@{}", customer.domain());
        request["agreement"] = json!({
            "agreement": text(agreement, "/id"),
            "version": text(agreement, "/version"),
            "signer": { "firstName": "Gwen", "lastName": "Sample", "email": email },
        });
    }
    request
}
