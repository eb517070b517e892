//! What fails during a round.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use failpoint::Point;
use serde_json::json;
use testkit::proxy::Line;
use testkit::site::SERVICES;
use tokio::time::sleep;

use crate::cluster::{CLOCK_MAX_SECONDS, Cluster};
use crate::history::History;
use crate::random::Random;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A process is killed, whatever it is doing.
    Kill,
    /// A process dies at a named point.
    DieAtPoint,
    /// A line loses requests.
    LoseRequests,
    /// A line loses answers.
    LoseAnswers,
    /// A line is slow.
    SlowLine,
    /// A line takes no connections and breaks those there are.
    RefuseLine,
    /// The database server dies and comes back.
    CrashDatabase,
    /// The database server is stopped and comes back.
    StopDatabase,
    /// The clock of a process jumps.
    JumpClock,
    /// All replicas of a service are restarted, one after the other.
    RollingRestart,
}

impl Fault {
    /// All kinds.
    pub const ALL: [Fault; 10] = [
        Fault::Kill,
        Fault::DieAtPoint,
        Fault::LoseRequests,
        Fault::LoseAnswers,
        Fault::SlowLine,
        Fault::RefuseLine,
        Fault::CrashDatabase,
        Fault::StopDatabase,
        Fault::JumpClock,
        Fault::RollingRestart,
    ];
}

/// How many named points a round tries; over so many rounds as make all of them, each is tried.
const POINTS_PER_ROUND: usize = 4;

/// Lets things fail, one after the other, until the round is over. Returns how often each kind did.
///
/// # Errors
/// When a fault cannot be made or mended, and when a process that was told to end does not end well.
pub async fn drive(
    cluster: &Arc<Cluster>,
    seed: u64,
    round: u64,
    history: &Arc<History>,
    is_over: &AtomicBool,
) -> Result<BTreeMap<String, usize>> {
    let mut counts = BTreeMap::new();
    let mut random = Random::at(seed, &[round, u64::MAX]);
    let mut deck = Vec::new();
    // One order for all rounds of a seed, in which each round goes on about where the one before ended.
    let mut points = Point::ALL;
    Random::at(seed, &[]).shuffle(&mut points);
    let first = usize::try_from(round).unwrap_or_default().wrapping_mul(POINTS_PER_ROUND) % points.len();
    points.rotate_left(first);
    let mut points = points.into_iter().cycle();
    while !is_over.load(Ordering::SeqCst) {
        if deck.is_empty() {
            // A deck holds each fault once, and points and kills more often.
            deck.extend(Fault::ALL);
            deck.extend([Fault::DieAtPoint; POINTS_PER_ROUND - 1]);
            deck.extend([Fault::Kill, Fault::LoseAnswers]);
            random.shuffle(&mut deck);
        }
        let Some(fault) = deck.pop() else { break };
        let what = make(cluster, fault, &mut random, &mut points).await?;
        history.note("fault", &json!(what));
        *counts.entry(format!("{fault:?}")).or_default() += 1;
        sleep(Duration::from_millis(random.below(200))).await;
    }
    Ok(counts)
}

/// Makes one fault and, but for clocks, mends it. Returns what it was.
async fn make(
    cluster: &Arc<Cluster>,
    fault: Fault,
    random: &mut Random,
    points: &mut impl Iterator<Item = Point>,
) -> Result<String> {
    let lasts = Duration::from_millis(100 + random.below(900));
    let slot = usize::try_from(random.below(cluster.slots.len() as u64)).unwrap_or_default();
    let cloud = usize::try_from(random.below(cluster.clouds.len() as u64)).unwrap_or_default();
    match fault {
        Fault::Kill => {
            let slot = &cluster.slots[slot];
            slot.kill(lasts);
            Ok(format!("{} is killed for {lasts:?}", slot.name()))
        }
        Fault::DieAtPoint => die(cluster, cloud, random, points).await,
        Fault::LoseRequests => weather(cluster, random, Line::LosingRequests(3), lasts).await,
        Fault::LoseAnswers => weather(cluster, random, Line::LosingAnswers(3), lasts).await,
        Fault::SlowLine => {
            let delay = Duration::from_millis(20 + random.below(300));
            weather(cluster, random, Line::Slow(delay), 2 * lasts).await
        }
        Fault::RefuseLine => weather(cluster, random, Line::Refusing, lasts).await,
        Fault::CrashDatabase | Fault::StopDatabase => {
            let cluster = Arc::clone(cluster);
            let restart = tokio::task::spawn_blocking(move || {
                let mut server = cluster.clouds[cloud].server()?;
                if fault == Fault::CrashDatabase {
                    server.crash()?
                } else {
                    server.stop()?
                }
                std::thread::sleep(lasts);
                server.start_again()
            });
            restart.await??;
            Ok(format!("{fault:?} of cloud {cloud} for {lasts:?}"))
        }
        Fault::JumpClock => {
            let bound = random.one_of(&[2, 90, 3700, 86_400, CLOCK_MAX_SECONDS]);
            let seconds = i64::try_from(random.below(2 * bound.unsigned_abs() + 1)).unwrap_or_default() - bound;
            let slot = &cluster.slots[slot];
            slot.set_clock(seconds)?;
            Ok(format!("the clock of {} jumps to {seconds} s", slot.name()))
        }
        Fault::RollingRestart => {
            let service = random.one_of(&SERVICES);
            let cluster = Arc::clone(cluster);
            let rolling = tokio::task::spawn_blocking(move || {
                for slot in cluster.replicas(cloud, service) {
                    slot.restart()?;
                    slot.wait_ready()?;
                }
                anyhow::Ok(())
            });
            rolling.await??;
            Ok(format!("{service} of cloud {cloud} is restarted, one replica after the other"))
        }
    }
}

/// Lets a line behave for a while.
async fn weather(cluster: &Cluster, random: &mut Random, line: Line, lasts: Duration) -> Result<String> {
    let lines: Vec<_> = cluster.lines().collect();
    let place = usize::try_from(random.below(lines.len() as u64)).unwrap_or_default();
    lines[place].set(line);
    sleep(lasts).await;
    lines[place].set(Line::Good);
    Ok(format!("line {place} is {line:?} for {lasts:?}"))
}

/// Lets a process die at the next point, and waits a little for it.
async fn die(
    cluster: &Cluster,
    cloud: usize,
    random: &mut Random,
    points: &mut impl Iterator<Item = Point>,
) -> Result<String> {
    /// How long the process has to get there.
    const PATIENCE: Duration = Duration::from_secs(2);
    let Some(point) = points.next() else { return Ok("no point".to_owned()) };
    let service = passed_by(point, random);
    let replicas: Vec<_> = cluster.replicas(cloud, service).collect();
    let slot = replicas[usize::try_from(random.below(replicas.len() as u64)).unwrap_or_default()];
    let plan = format!("{}:{}", point.name(), 1 + random.below(6));
    let before = slot.deaths().len();
    slot.die_at(&plan);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while slot.deaths().len() == before && tokio::time::Instant::now() < deadline {
        sleep(Duration::from_millis(20)).await;
    }
    let died = slot.deaths().len() > before;
    slot.disarm();
    Ok(format!("{} is told to die at {plan}: {}", slot.name(), if died { "it did" } else { "it never came there" }))
}

/// A service that passes this point.
#[must_use]
pub fn passed_by(point: Point, random: &mut Random) -> &'static str {
    let room = point.name().split('.').next().unwrap_or_default();
    match room {
        "link" => "invitation",
        "ingest" => "notification",
        // Both change and relay; most changes are relationships'.
        _ if random.once_in(4) => "invitation",
        _ => "relationship",
    }
}
