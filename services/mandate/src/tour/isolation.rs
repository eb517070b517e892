//! What keeps clouds and strangers apart (R52, N69).

use serde_json::json;

use super::cast::Cast;
use super::rules;
use super::stage::{Player, Stage, refused};
use crate::failure::Failure;

/// What the cloud refuses to strangers.
pub(super) async fn play(stage: &mut Stage, cast: &Cast) -> Result<(), Failure> {
    rules::strangers(stage, cast).await?;
    let forged = Player {
        label: "somebody with a forged token".to_owned(),
        session: cast.gateway.session(&cast.cloud, Some("e30.e30.e30")),
    };
    let parent = json!({ "parent": cast.partner("partner") });
    let call = ("RelationshipService/ListPartnerCustomers", parent);
    let expected = refused("TOKEN_INVALID", "");
    stage.step("a forged token is refused", &forged, call, expected).await?;
    Ok(())
}

/// What one cloud refuses to those of another.
pub(super) async fn across(stage: &mut Stage, cast: &Cast, (other, token): (&Cast, &str)) -> Result<(), Failure> {
    let agent = Player {
        label: format!("{} of {}, in {}", other.agent.label, other.cloud, cast.cloud),
        session: other.agent.session.clone().toward(&cast.cloud),
    };
    let call = ("RelationshipService/ListPartnerCustomers", json!({ "parent": other.partner("partner") }));
    let expected = refused("CLOUD_DISAGREEMENT", "");
    let title = format!("a token of {} is refused in {} (N69)", other.cloud, cast.cloud);
    stage.step(&title, &agent, call, expected).await?;
    let request = json!({ "token": token, "customer": cast.customer("first") });
    let call = ("InvitationService/ResolveInvitation", request);
    let expected = refused("CLOUD_MISMATCH", "R52");
    let title = format!("a link of {} opens nothing in {} (R52)", other.cloud, cast.cloud);
    stage.step(&title, &cast.clerk, call, expected).await?;
    Ok(())
}
