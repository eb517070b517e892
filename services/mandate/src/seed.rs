//! Registers the companies of the demonstration through the public calls, as an operator of each cloud would.
//!
//! It can be repeated: request ids are made from the requests, what exists is left as it is, and subscriptions that somebody
//! has changed since are not changed back.

use aws_lc_rs::digest;
use clock::Uuid;
use serde_json::{Value, json};

use crate::contract::Session;
use crate::demo::{Bought, Company, Demo, Employer};
use crate::failure::{Failure, Refusal};

/// Registers the companies, people and subscriptions of one cloud. `operator` calls as an operator of it.
///
/// # Errors
/// What the services refused.
pub(crate) async fn plant(operator: &Session, demo: &Demo) -> Result<(), Failure> {
    let policy = json!({ "name": format!("clouds/{}/policy", demo.cloud) });
    let policy = operator.call("CloudService/GetCloudPolicy", &policy).await?;
    let contract = policy.message["partnerContract"]["id"].clone();
    for (place, partner) in demo.partners.iter().enumerate() {
        let signed = Demo::has_signed(place).then(|| contract.clone());
        partner_of(operator, partner, signed).await?;
    }
    for customer in &demo.customers {
        let request = json!({
            "customerId": customer.id,
            "customer": {
                "displayName": customer.name,
                "country": customer.country,
                "domain": customer.domain(),
            },
        });
        create(operator, "DirectoryService/CreateCustomer", request).await?;
    }
    users(operator, demo).await?;
    for bought in demo.subscriptions {
        subscription(operator, demo, bought).await?;
    }
    Ok(())
}

async fn partner_of(operator: &Session, partner: &Company, contract: Option<Value>) -> Result<(), Failure> {
    let mut described = json!({
        "displayName": partner.name,
        "country": partner.country,
        "verifiedDomain": partner.domain(),
        "tier": "PARTNER_TIER_DIRECT",
    });
    if let Some(contract) = contract {
        described["signedContract"] = contract;
    }
    let request = json!({ "partnerId": partner.id, "partner": described });
    create(operator, "DirectoryService/CreatePartner", request).await
}

async fn users(operator: &Session, demo: &Demo) -> Result<(), Failure> {
    for person in demo.people() {
        let company = match person.employer {
            Employer::Partner(place) => demo.partners[place],
            Employer::Customer(place) => demo.customers[place],
            Employer::Operator | Employer::Cloud => continue,
        };
        let collection = match person.employer {
            Employer::Customer(_) => "customers",
            Employer::Partner(_) | Employer::Operator | Employer::Cloud => "partners",
        };
        let request = json!({
            "parent": format!("{collection}/{}", company.id),
            "userId": person.id,
            "user": {
                "displayName": person.name,
                "email": format!("{}@{}", person.id, company.domain()),
            },
        });
        create(operator, "DirectoryService/CreateUser", request).await?;
    }
    Ok(())
}

async fn subscription(operator: &Session, demo: &Demo, bought: &Bought) -> Result<(), Failure> {
    let customer = demo.customers[bought.customer].id;
    let name = format!("customers/{customer}/subscriptions/{}", bought.id);
    let found = operator.call("SubscriptionService/GetSubscription", &json!({ "name": name })).await;
    match found {
        Ok(_) => return Ok(()),
        Err(failure) if reason(&failure) == "RESOURCE_NOT_FOUND" => {}
        Err(failure) => return Err(failure),
    }
    let partner =
        |place: Option<usize>| place.map_or_else(String::new, |place| format!("partners/{}", demo.partners[place].id));
    let request = json!({
        "subscription": {
            "name": name,
            "service": bought.service,
            "status": "SUBSCRIPTION_STATUS_ACTIVE",
            "originalReseller": partner(bought.original_reseller),
            "partnerOfRecord": partner(bought.original_reseller),
            "provisionedBy": partner(bought.provisioned_by),
        },
        "allowMissing": true,
    });
    create(operator, "SubscriptionService/UpdateSubscription", request).await
}

/// Makes something that may be there already.
async fn create(operator: &Session, method: &str, mut request: Value) -> Result<(), Failure> {
    request["requestId"] = json!(request_id(method, &request).to_string());
    match operator.call(method, &request).await {
        Ok(_) => Ok(()),
        Err(failure) if reason(&failure) == "RESOURCE_EXISTS" => Ok(()),
        Err(failure) => Err(failure),
    }
}

/// The same for the same request in every start, another for another one.
fn request_id(method: &str, request: &Value) -> Uuid {
    let text = format!("{method} {request}");
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.as_ref()[..16]);
    // The version and variant of a random UUID, which is what request ids are (AIP-155).
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    Uuid::from_bytes(bytes)
}

fn reason(failure: &Failure) -> String {
    match failure {
        Failure::Refused(status) => Refusal::of(status).reason,
        Failure::Usage(_) | Failure::Other(_) | Failure::Denied | Failure::Output(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::request_id;

    #[test]
    fn a_request_has_the_same_id_in_every_start() {
        let id = |name: &str| request_id("DirectoryService/CreatePartner", &json!({"name": name}));
        assert_eq!(id("a"), id("a"));
        assert_ne!(id("a"), id("b"));
        assert_eq!(id("a").get_version_num(), 4);
    }
}
