//! Starts the gateway and all clouds in one process, as they run in production but for where they keep things: SQLite files
//! in one folder, certificates of an authority made on the spot, and development issuers.
//!
//! Whatever can be wrong is found before anything answers, and said in one sentence. The services talk gRPC over loopback with
//! certificates on both sides; nothing takes a short cut because its peer happens to be in the same process.

use std::time::{Duration, Instant};

use clock::Clock;
use server::telemetry::{self, LogFormat};
use server::{Shutdown, StartError};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use crate::cli;
use crate::contract::Gateway;
use crate::demo::Demo;
use crate::failure::Failure;
use crate::issuer::Issuers;
use crate::{panel, seed};

mod ground;
mod link_keys;
mod policies;
mod running;
mod settings;

use ground::Ground;
pub(crate) use ground::LOCK_FILE;
use running::Running;
pub(crate) use settings::{CloudPlace, Place};

/// How long calls in flight have to end, and what they leave behind.
const DRAIN: Duration = Duration::from_secs(12);
/// How long tokens of the panel and of the seeds are good for.
pub(crate) const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

/// Starts, and returns when told to end.
///
/// # Errors
/// [`Failure::Usage`] with one sentence when the start cannot be made.
pub(crate) fn run(options: &cli::Up) -> Result<(), Failure> {
    let started = Instant::now();
    let ground = Ground::take(options)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Other(format!("the system gives no threads: {error}")))?;
    let done = runtime.block_on(async {
        let guard = telemetry::init(&log(options), "mandate", "")
            .map_err(|error| Failure::usage(format!("--log, --otlp-endpoint: {error}")))?;
        let done = serve(ground, started).await;
        guard.shutdown().await;
        done
    });
    // Connections that were cut off have nothing left to say.
    runtime.shutdown_background();
    done
}

/// Text on standard error, whatever standard output is: the panel is for people and stands there.
fn log(options: &cli::Up) -> telemetry::Settings {
    telemetry::Settings {
        otlp_endpoint: options.otlp_endpoint.clone(),
        log_format: LogFormat::Text,
        log_filter: options.log.clone(),
    }
}

async fn serve(ground: Ground, started: Instant) -> Result<(), Failure> {
    let end = Shutdown::new();
    watch_signals(&end)?;
    let clock = ground.clock.clone();
    let clouds: Vec<&str> = ground.policies.iter().map(|cloud| cloud.id.as_str()).collect();
    let issuers = Issuers::open(&ground.data_dir, &clouds, ground.issuer_address()?)
        .map_err(|error| Failure::usage(error.to_string()))?;
    let place = Place::prepare(&ground, &issuers, seconds(&clock))?;
    let running = Running::start(&place, ground.gateway, &clock, end.clone()).await?;
    let (listener, stop, now) = (listener(ground.issuers)?, end.clone(), clock.clone());
    let serving = issuers.clone();
    end.spawn("issuers", async move {
        let told = stop.clone();
        let done = serving.serve(listener, move || seconds(&now), async move { told.begun().await });
        if let Err(error) = done.await {
            tracing::error!(error = &error as &dyn std::error::Error, "the development issuers ended");
            stop.fail();
        }
    });
    let shown = show(&place, &issuers, &clock, started).await;
    if shown.is_err() {
        end.begin();
    }
    end.begun().await;
    running.end().await;
    let drained = end.drained(DRAIN).await;
    shown?;
    match drained && !end.has_failed() && !running.has_failed() {
        true => Ok(()),
        false => {
            Err(Failure::Other("a part of the system failed or did not end in time; the log says which".to_owned()))
        }
    }
}

fn listener(bound: std::net::TcpListener) -> Result<TcpListener, Failure> {
    let taken = bound.set_nonblocking(true).and_then(|()| TcpListener::from_std(bound));
    taken.map_err(|error| Failure::Other(format!("the issuers' port cannot be served: {error}")))
}

/// Registers the demonstration and says how to begin.
async fn show(place: &Place, issuers: &Issuers, clock: &Clock, started: Instant) -> Result<(), Failure> {
    let gateway = Gateway::at(&place.public_uri)?;
    let mut planting = JoinSet::new();
    for cloud in &place.clouds {
        let Some(demo) = Demo::of(&cloud.id) else {
            continue;
        };
        let Some(otto) = demo.person("otto") else {
            continue;
        };
        let token = issuers
            .mint(&cloud.id, &demo.identity(otto), seconds(clock), TOKEN_LIFETIME)
            .map_err(|error| Failure::Other(error.to_string()))?;
        let operator = gateway.session(&cloud.id, Some(&token));
        planting.spawn(async move { seed::plant(&operator, demo).await });
    }
    while let Some(planted) = planting.join_next().await {
        planted.map_err(|error| Failure::Other(format!("the demonstration: {error}")))??;
    }
    let mint = |cloud: &str, name: &str| {
        let demo = Demo::of(cloud)?;
        let identity = demo.identity(demo.person(name)?);
        issuers.mint(cloud, &identity, seconds(clock), TOKEN_LIFETIME).ok()
    };
    panel::show(place, &gateway, mint, started.elapsed()).await
}

/// Ends on SIGINT, as of Ctrl-C, and SIGTERM. From the start on, so that a start can be broken off.
fn watch_signals(end: &Shutdown) -> Result<(), Failure> {
    let unwatched = |error| Failure::Other(format!("the system gives no signals: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(unwatched)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(unwatched)?;
    let told = end.clone();
    end.spawn("signals", async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = told.begun() => {}
        }
        told.begin();
    });
    Ok(())
}

fn seconds(clock: &Clock) -> u64 {
    u64::try_from(clock.now().seconds()).unwrap_or_default()
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Failure {
        Failure::usage(error.to_string())
    }
}
