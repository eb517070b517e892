//! Plays the main job in every cloud against a running system, as a foreign client would, and compares every answer with what
//! the rules say it must be.
//!
//! It brings partners and customers of its own, named anew in each run, so it can be repeated against the same data and
//! disturbs nobody else's. What differs between clouds it learns from their policies, but for a table of what the four
//! clouds are known to ask ([`rules`]).

use std::collections::BTreeMap;
use std::time::Duration;

use clock::Clock;
use serde_json::json;

use crate::cli::Tour;
use crate::contract::{Gateway, list, text};
use crate::failure::Failure;
use crate::screen;
use crate::token::Mint;

mod acceptance;
mod access;
mod cast;
mod changes;
mod history;
mod isolation;
mod links;
mod rotation;
mod rules;
mod stage;
mod texts;

use cast::Cast;
use stage::Stage;

/// How long tokens of the tour are good for: the tour takes seconds.
const TOKEN_LIFETIME: Duration = Duration::from_secs(900);

/// Plays the tour.
///
/// # Errors
/// When nothing answers, and [`Failure::Denied`] when any step deviates.
pub(crate) async fn run(options: &Tour) -> Result<(), Failure> {
    let gateway = Gateway::at(&options.gateway)?;
    let clouds = clouds(&gateway, options.cloud.as_deref()).await?;
    let mut stage = Stage::new();
    let mut casts: Vec<Cast> = Vec::new();
    let mut tokens = BTreeMap::new();
    for (cloud, title) in &clouds {
        screen::line(format_args!("\n=== {cloud}: {title} ===\n"))?;
        stage.enter(cloud);
        let mint = Mint::of(&gateway, cloud).await?;
        let mut cast = Cast::gather(&gateway, cloud, mint, &Clock::system()).await?;
        let token = play(&mut stage, &mut cast).await?;
        tokens.insert(cloud.clone(), token);
        casts.push(cast);
    }
    for (place, cast) in casts.iter().enumerate() {
        let other = &casts[(place + 1) % casts.len()];
        if other.cloud == cast.cloud {
            continue;
        }
        if place == 0 {
            screen::line("\n=== across clouds ===\n")?;
        }
        stage.enter(&cast.cloud);
        isolation::across(&mut stage, cast, (other, &tokens[&other.cloud])).await?;
    }
    summary(&stage, clouds.len())
}

async fn play(stage: &mut Stage, cast: &mut Cast) -> Result<String, Failure> {
    rules::play(stage, cast).await?;
    cast::register(stage, cast).await?;
    let link = links::play(stage, cast).await?;
    texts::play(stage, cast, &link).await?;
    acceptance::play(stage, cast, &link).await?;
    access::play(stage, cast).await?;
    changes::play(stage, cast, &link).await?;
    history::play(stage, cast).await?;
    isolation::play(stage, cast).await?;
    rotation::play(stage, cast, &link).await
}

/// The ids and titles of the clouds to play in.
async fn clouds(gateway: &Gateway, only: Option<&str>) -> Result<Vec<(String, String)>, Failure> {
    let answer = gateway.anonymous().call("CloudService/ListClouds", &json!({})).await?;
    let all: Vec<(String, String)> = list(&answer.message, "/clouds")
        .iter()
        .map(|cloud| {
            let id = screen::id(text(cloud, "/name"));
            (id.to_owned(), text(cloud, "/title").to_owned())
        })
        .collect();
    let known: Vec<&str> = all.iter().map(|(id, _)| id.as_str()).collect();
    let known = known.join(", ");
    let wanted: Vec<_> = all.into_iter().filter(|(id, _)| only.is_none_or(|only| only == id)).collect();
    if wanted.is_empty() {
        return Err(Failure::usage(format!("--cloud: {} does not serve it; there are {known}", gateway.uri())));
    }
    Ok(wanted)
}

fn summary(stage: &Stage, clouds: usize) -> Result<(), Failure> {
    let (steps, deviating) = (stage.steps(), stage.deviating());
    if deviating.is_empty() {
        return screen::line(format_args!("\n{steps} steps in {clouds} clouds, every one as the rules say."));
    }
    let numbers: Vec<String> = deviating.iter().map(ToString::to_string).collect();
    let (many, numbers) = (deviating.len(), numbers.join(", "));
    screen::line(format_args!("\n{steps} steps in {clouds} clouds, {many} DEVIATE: {numbers}"))?;
    Err(Failure::Denied)
}
