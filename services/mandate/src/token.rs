//! Tokens for people at a terminal: from the development issuer of a cloud, or from a file.
//!
//! The issuer is the one that the gateway names for the cloud, asked the way OIDC says: its discovery document tells where
//! tokens are made. An issuer that asks for more than a name is not a development issuer and refuses here.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::contract::{Gateway, list, text};
use crate::demo::Demo;
use crate::failure::Failure;
use crate::issuer::Identity;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Makes tokens of one cloud.
#[derive(Clone, Debug)]
pub(crate) struct Mint {
    endpoint: String,
    http: reqwest::Client,
}

impl Mint {
    /// The mint of the cloud's issuer, as the gateway names it.
    ///
    /// # Errors
    /// When the gateway does not serve the cloud, or its issuer makes no tokens for people at a terminal.
    pub(crate) async fn of(gateway: &Gateway, cloud: &str) -> Result<Mint, Failure> {
        let issuer = issuer(gateway, cloud).await?;
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .build()
            .map_err(|error| Failure::Other(format!("no HTTP client: {error}")))?;
        let discovery = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let document = answer(&issuer, http.get(&discovery).send().await).await?;
        match text(&document, "/token_endpoint") {
            "" => Err(Failure::Other(format!(
                "the issuer {issuer} names no token_endpoint: give a token by --token-file"
            ))),
            endpoint => Ok(Mint { endpoint: endpoint.to_owned(), http }),
        }
    }

    /// A token that speaks for this identity.
    ///
    /// # Errors
    /// What the issuer says.
    pub(crate) async fn token(&self, identity: &Identity, lifetime: Duration) -> Result<String, Failure> {
        let lifetime = lifetime.as_secs().to_string();
        let roles = identity.roles.join(" ");
        let form = [
            ("grant_type", "client_credentials"),
            ("sub", &identity.subject),
            ("tid", &identity.tenant),
            ("kind", identity.kind.as_str()),
            ("roles", &roles),
            ("expires_in", &lifetime),
        ];
        let sent = self.http.post(&self.endpoint).form(&form).send().await;
        let document = answer(&self.endpoint, sent).await?;
        match text(&document, "/access_token") {
            "" => Err(Failure::Other(format!("{} gave no access_token", self.endpoint))),
            token => Ok(token.to_owned()),
        }
    }
}

/// Whom a name of the demonstration stands for in this cloud.
///
/// # Errors
/// When it stands for nobody; the sentence names everybody.
pub(crate) fn somebody(cloud: &str, name: &str) -> Result<Identity, Failure> {
    let demo = Demo::of(cloud)
        .ok_or_else(|| Failure::usage(format!("--as: cloud {cloud:?} has no demonstration users; use --token-file")))?;
    match demo.person(name) {
        Some(person) => Ok(demo.identity(person)),
        None => {
            let everybody: Vec<&str> = demo.people().map(|person| person.id).collect();
            Err(Failure::usage(format!(
                "--as: nobody is called {name:?} in cloud {cloud}; there are {}",
                everybody.join(", ")
            )))
        }
    }
}

/// The token in a file.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn from_file(path: &Path) -> Result<String, Failure> {
    match std::fs::read_to_string(path) {
        Ok(token) => Ok(token.trim().to_owned()),
        Err(error) => Err(Failure::usage(format!("--token-file {}: {error}", path.display()))),
    }
}

/// The tenant that a token speaks for, unverified: it only fills in names that the caller left out.
pub(crate) fn tenant_of(token: &str) -> Option<String> {
    let claims = token.split('.').nth(1)?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    Some(claims.get("tid")?.as_str()?.to_owned())
}

async fn issuer(gateway: &Gateway, cloud: &str) -> Result<String, Failure> {
    let answer = gateway.anonymous().call("CloudService/ListClouds", &json!({})).await?;
    let name = format!("clouds/{cloud}");
    let clouds = list(&answer.message, "/clouds");
    match clouds.iter().find(|found| text(found, "/name") == name) {
        Some(found) => Ok(text(found, "/issuer").to_owned()),
        None => {
            let known: Vec<&str> =
                clouds.iter().map(|found| text(found, "/name").trim_start_matches("clouds/")).collect();
            Err(Failure::usage(format!(
                "--cloud: {} serves no cloud {cloud:?}; there are {}",
                gateway.uri(),
                known.join(", ")
            )))
        }
    }
}

async fn answer(what: &str, sent: Result<reqwest::Response, reqwest::Error>) -> Result<Value, Failure> {
    let response = sent
        .map_err(|_| Failure::Other(format!("the issuer at {what} does not answer: is it the one of `mandate up`?")))?;
    let is_refusal = !response.status().is_success();
    let document: Value =
        response.json().await.map_err(|_| Failure::Other(format!("the issuer at {what} answers no JSON")))?;
    if is_refusal {
        let description = text(&document, "/error_description");
        return Err(Failure::Other(format!("the issuer at {what} gives no token: {description}")));
    }
    Ok(document)
}

#[cfg(test)]
mod tests {
    use super::{somebody, tenant_of};

    #[test]
    fn a_name_stands_for_somebody_in_each_cloud() {
        assert_eq!(somebody("public", "ada").unwrap().tenant, "alpenglow-it");
        assert_eq!(somebody("china", "ada").unwrap().tenant, "lantern-river-it");
        let nobody = somebody("china", "dan").unwrap_err().to_string();
        assert!(nobody.contains("ada, sam"), "{nobody}");
        assert!(somebody("moon", "ada").is_err());
    }

    #[test]
    fn the_tenant_is_read_from_the_token() {
        // {"tid":"alpenglow-it"}
        assert_eq!(tenant_of("e30.eyJ0aWQiOiJhbHBlbmdsb3ctaXQifQ.x").as_deref(), Some("alpenglow-it"));
        for broken in ["", "a", "a.b.c", "e30.e30.x"] {
            assert_eq!(tenant_of(broken), None, "{broken}");
        }
    }
}
