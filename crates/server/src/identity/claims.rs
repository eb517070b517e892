//! What the claims of a token say, read by the names that the cloud's policy gives them.

use std::collections::BTreeSet;
use std::sync::Arc;

use api::rule::PrincipalKind;
use api::status::Refusal;
use clock::Time;
use cloud::{IdentityRule, TenantId};
use serde_json::{Map, Value};

use super::{Caller, invalid};

/// Characters of a subject at most, as OpenID Connect has it.
const SUBJECT_MAX: usize = 255;
/// Roles read at most; nobody has so many.
const ROLES_MAX: usize = 256;

/// A caller whose token's signature was verified, and when the token holds.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) caller: Arc<Caller>,
    pub(super) expire_time: Time,
    pub(super) begin_time: Option<Time>,
}

/// Reads the claims of a token whose signature and issuer were verified.
pub(super) fn read(claims: &Map<String, Value>, rule: &IdentityRule, token: &str) -> Result<Verified, Refusal> {
    if !is_for(claims.get("aud"), &rule.audience) {
        return Err(invalid(&format!("is not for the audience {:?}", rule.audience)));
    }
    let text = |name: &str| {
        let value = claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        value.ok_or_else(|| invalid(&format!("lacks the claim {name:?}")))
    };
    let subject = text("sub")?;
    if subject.chars().count() > SUBJECT_MAX {
        return Err(invalid(&format!("has a subject of more than {SUBJECT_MAX} characters")));
    }
    let tenant = TenantId::parse(text(&rule.claims.tenant)?)
        .map_err(|_| invalid(&format!("has no tenant id in claim {:?}", rule.claims.tenant)))?;
    let kind = rule.kind_of(text(&rule.claims.kind)?).and_then(kind_named);
    let kind = kind.ok_or_else(|| invalid(&format!("has no kind of principal in claim {:?}", rule.claims.kind)))?;
    let expire_time = time(claims, "exp")?.ok_or_else(|| invalid("lacks the claim \"exp\""))?;
    let caller =
        Caller { kind, tenant, subject: subject.to_owned(), roles: roles(claims, rule)?, token: token.to_owned() };
    Ok(Verified { caller: Arc::new(caller), expire_time, begin_time: time(claims, "nbf")? })
}

fn is_for(claim: Option<&Value>, audience: &str) -> bool {
    match claim {
        Some(Value::String(one)) => one == audience,
        Some(Value::Array(several)) => several.iter().any(|one| one.as_str() == Some(audience)),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => false,
    }
}

fn kind_named(name: &str) -> Option<PrincipalKind> {
    match name {
        "partner" => Some(PrincipalKind::Partner),
        "customer" => Some(PrincipalKind::Customer),
        "operator" => Some(PrincipalKind::Operator),
        "workload" => Some(PrincipalKind::Workload),
        _ => None,
    }
}

/// Roles that mean nothing here are left out: an issuer has many that are none of ours.
fn roles(claims: &Map<String, Value>, rule: &IdentityRule) -> Result<BTreeSet<String>, Refusal> {
    let name = &rule.claims.roles;
    let Some(value) = claims.get(name) else {
        return Ok(BTreeSet::new());
    };
    let listed = value.as_array().filter(|roles| roles.len() <= ROLES_MAX);
    let listed = listed.ok_or_else(|| invalid(&format!("has no list of roles in claim {name:?}")))?;
    let names = listed.iter().filter_map(Value::as_str);
    Ok(names.filter_map(|name| rule.role_of(name)).map(str::to_owned).collect())
}

/// A time in seconds, which JWT allows to have a fraction.
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<Time>, Refusal> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    // Far enough for any token, and exact in a double.
    const MOST: f64 = 9_000_000_000.0;
    let seconds = value.as_f64().filter(|seconds| (0.0..=MOST).contains(seconds));
    let seconds = seconds.ok_or_else(|| invalid(&format!("has no time in claim {name:?}")))?;
    #[expect(clippy::cast_possible_truncation, reason = "between 0 and 9e15, so it fits")]
    let micros = (seconds * 1_000_000.0) as i64;
    Ok(Some(Time::from_micros(micros)))
}
