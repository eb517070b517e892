//! What fails during a round.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use failpoint::Point;
use serde_json::json;
use testkit::proxy::Line;
use testkit::site::SERVICES;
use tokio::time::{Instant, sleep};

use crate::cluster::{CLOCK_MAX_SECONDS, Cloud, Cluster};
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
    /// The disk of a service that keeps its data in a file has no more room.
    FillDisk,
    /// All replicas of a service are restarted, one after the other.
    RollingRestart,
}

/// What happens to processes, one after the other: points and kills come more often than the rest.
const TO_PROCESSES: [Fault; 10] = [
    Fault::Kill,
    Fault::Kill,
    Fault::DieAtPoint,
    Fault::DieAtPoint,
    Fault::DieAtPoint,
    Fault::CrashDatabase,
    Fault::StopDatabase,
    Fault::JumpClock,
    Fault::JumpClock,
    Fault::RollingRestart,
];

/// What happens to processes that keep their data in files.
const TO_PROCESSES_ON_FILES: [Fault; 6] =
    [Fault::Kill, Fault::DieAtPoint, Fault::FillDisk, Fault::FillDisk, Fault::JumpClock, Fault::RollingRestart];

/// What happens to lines meanwhile.
const TO_LINES: [Fault; 6] = [
    Fault::LoseRequests,
    Fault::LoseRequests,
    Fault::LoseAnswers,
    Fault::LoseAnswers,
    Fault::SlowLine,
    Fault::RefuseLine,
];

/// How many named points a round begins after those of the round before, so that a few rounds try all.
const POINTS_PER_ROUND: usize = 3;
/// How long a process has to come to the point it is told to die at.
const POINT_MAX: Duration = Duration::from_secs(3);
/// How long a line has to find something to lose: few requests go over some.
const LOSS_MAX: Duration = Duration::from_millis(1500);
/// How long the disk has to be found full: a process starts, and then needs room.
const FULL_MAX: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(20);

/// What SQLite says of a disk that is full.
const DISK_FULL: &str = "database or disk is full";

/// How often each fault happened.
pub type Counts = BTreeMap<&'static str, usize>;

/// A fault that was made: its kind, and what it was.
type Made = (&'static str, String);

/// Where and when things fail.
#[derive(Debug)]
pub struct Plan {
    /// Makes the plan.
    pub seed: u64,
    /// The round.
    pub round: u64,
}

/// How far a round has come, as those know who use the system and those who break it.
#[derive(Debug)]
pub struct Course {
    clients_are_done: AtomicBool,
    /// Decks of faults that have not been gone through once.
    decks_left: AtomicUsize,
}

impl Course {
    /// At the begin of a round in which something fails, or nothing.
    #[must_use]
    pub fn new(fails: bool) -> Course {
        // One for processes, one for lines.
        let decks_left = AtomicUsize::new(if fails { 2 } else { 0 });
        Course { clients_are_done: AtomicBool::new(false), decks_left }
    }

    /// Whether each kind of fault was made.
    #[must_use]
    pub fn has_seen_all(&self) -> bool {
        self.decks_left.load(Ordering::SeqCst) == 0
    }

    /// Notes that nobody uses the system any more.
    pub fn clients_are_done(&self) {
        self.clients_are_done.store(true, Ordering::SeqCst);
    }
}

/// Lets processes and lines fail, each one fault after the other, until the clients are done.
///
/// # Errors
/// When a fault cannot be made or mended, and when a process that was told to end does not end well.
pub async fn drive(cluster: &Arc<Cluster>, plan: &Plan, history: &Arc<History>, course: &Course) -> Result<Counts> {
    let on_files = cluster.clouds.iter().any(Cloud::is_on_files);
    let to_processes: &[Fault] = if on_files { &TO_PROCESSES_ON_FILES } else { &TO_PROCESSES };
    let processes = fail(cluster, plan, to_processes, history, course);
    let lines = fail(cluster, plan, &TO_LINES, history, course);
    let (mut counts, more) = tokio::try_join!(processes, lines)?;
    counts.extend(more);
    Ok(counts)
}

async fn fail(
    cluster: &Arc<Cluster>,
    plan: &Plan,
    faults: &[Fault],
    history: &Arc<History>,
    course: &Course,
) -> Result<Counts> {
    let mut random = Random::at(plan.seed, &[plan.round, u64::MAX, faults.len() as u64]);
    // One order for all rounds of a seed, in which each round goes on about where the one before ended.
    let mut points = Point::ALL;
    Random::at(plan.seed, &[]).shuffle(&mut points);
    let first = usize::try_from(plan.round).unwrap_or_default().wrapping_mul(POINTS_PER_ROUND) % points.len();
    points.rotate_left(first);
    let mut points = points.into_iter().cycle();
    let (mut counts, mut deck) = (Counts::new(), Vec::new());
    while !course.clients_are_done.load(Ordering::SeqCst) {
        if deck.is_empty() {
            deck.extend_from_slice(faults);
            random.shuffle(&mut deck);
        }
        let Some(fault) = deck.pop() else { break };
        let (kind, what) = make(cluster, fault, &mut random, &mut points).await?;
        history.note("fault", &json!(what));
        *counts.entry(kind).or_default() += 1;
        if counts.values().sum::<usize>() == faults.len() {
            course.decks_left.fetch_sub(1, Ordering::SeqCst);
        }
        sleep(Duration::from_millis(random.below(200))).await;
    }
    Ok(counts)
}

/// Makes one fault and, but for clocks, mends it. Returns its kind and what it was.
async fn make(
    cluster: &Arc<Cluster>,
    fault: Fault,
    random: &mut Random,
    points: &mut impl Iterator<Item = Point>,
) -> Result<Made> {
    let lasts = Duration::from_millis(100 + random.below(900));
    let slot = usize::try_from(random.below(cluster.slots.len() as u64)).unwrap_or_default();
    let cloud = usize::try_from(random.below(cluster.clouds.len() as u64)).unwrap_or_default();
    match fault {
        Fault::Kill => {
            let slot = &cluster.slots[slot];
            slot.kill(lasts);
            Ok(("killed", format!("{} is killed for {lasts:?}", slot.name())))
        }
        Fault::DieAtPoint => die(cluster, cloud, random, points).await,
        Fault::LoseRequests => weather(cluster, random, Line::LosingRequests(3), lasts).await,
        Fault::LoseAnswers => weather(cluster, random, Line::LosingAnswers(3), lasts).await,
        Fault::SlowLine => {
            let delay = Duration::from_millis(20 + random.below(300));
            weather(cluster, random, Line::Slow(delay), 2 * lasts).await
        }
        Fault::RefuseLine => weather(cluster, random, Line::Refusing, lasts).await,
        Fault::CrashDatabase | Fault::StopDatabase => end_database(cluster, cloud, fault, lasts).await,
        Fault::JumpClock => {
            let bound = random.one_of(&[2, 90, 3700, 86_400, CLOCK_MAX_SECONDS]);
            let seconds = i64::try_from(random.below(2 * bound.unsigned_abs() + 1)).unwrap_or_default() - bound;
            let slot = &cluster.slots[slot];
            slot.set_clock(seconds)?;
            Ok(("clock jumped", format!("the clock of {} jumps to {seconds} s", slot.name())))
        }
        Fault::FillDisk => fill_disk(cluster, cloud, 2 * lasts).await,
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
            let what = format!("{service} of cloud {cloud} is restarted, one replica after the other");
            Ok(("rolling restart", what))
        }
    }
}

/// Ends the database server of a cloud, by a crash or not, and starts it again.
async fn end_database(cluster: &Arc<Cluster>, cloud: usize, fault: Fault, lasts: Duration) -> Result<Made> {
    let is_crash = fault == Fault::CrashDatabase;
    let cluster = Arc::clone(cluster);
    let restart = tokio::task::spawn_blocking(move || {
        let mut server = cluster.clouds[cloud].server()?;
        if is_crash {
            server.crash()?
        } else {
            server.stop()?
        }
        std::thread::sleep(lasts);
        server.start_again()
    });
    restart.await??;
    let kind = if is_crash { "database crashed" } else { "database stopped" };
    Ok((kind, format!("the server of cloud {cloud} is down for {lasts:?}: {kind}")))
}

/// Lets no file of a cloud grow for a while, and until a service was refused another page as by a full disk.
async fn fill_disk(cluster: &Cluster, cloud: usize, lasts: Duration) -> Result<Made> {
    let slots = || cluster.slots.iter().filter(|slot| slot.cloud() == Some(cloud));
    for slot in slots() {
        slot.tell("[database]\nsqlite_pages_max = 1\n");
    }
    let was_full = lasting(lasts, FULL_MAX, || slots().any(|slot| slot.has_said(DISK_FULL))).await;
    for slot in slots() {
        slot.disarm();
    }
    let kind = if was_full { "disk full" } else { "disk not filled" };
    Ok((kind, format!("the files of cloud {cloud} do not grow for {lasts:?}: {kind}")))
}

/// Lets a line behave for a while; one that loses something, until it has.
async fn weather(cluster: &Cluster, random: &mut Random, line: Line, lasts: Duration) -> Result<Made> {
    let lines: Vec<_> = cluster.lines().collect();
    let place = usize::try_from(random.below(lines.len() as u64)).unwrap_or_default();
    let before = lines[place].lost();
    lines[place].set(line);
    let loses = matches!(line, Line::LosingRequests(_) | Line::LosingAnswers(_));
    let is_done = lasting(lasts, LOSS_MAX, || !loses || lines[place].lost() > before).await;
    lines[place].set(Line::Good);
    let kind = match line {
        Line::LosingRequests(_) | Line::LosingAnswers(_) if !is_done => "nothing to lose",
        Line::LosingRequests(_) => "requests lost",
        Line::LosingAnswers(_) => "answers lost",
        Line::Slow(_) => "line slow",
        Line::Refusing => "line down",
        Line::Good => "line good",
    };
    Ok((kind, format!("line {place} is {line:?} for {lasts:?}: {kind}")))
}

/// Waits for so long and, up to a bound, until this is so; whether it is.
async fn lasting(lasts: Duration, most: Duration, is_so: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + most;
    sleep(lasts).await;
    while !is_so() && Instant::now() < deadline {
        sleep(LOOK).await;
    }
    is_so()
}

/// Lets the replicas of a service die at the next point, and waits a little until one has. All of them are told to, since a
/// replica that was just started serves nobody as long as another does.
async fn die(
    cluster: &Cluster,
    cloud: usize,
    random: &mut Random,
    points: &mut impl Iterator<Item = Point>,
) -> Result<Made> {
    let point = points.next().context("there are points")?;
    let service = passed_by(point, random);
    let plan = format!("{}:{}", point.name(), 1 + random.below(4));
    let deaths = || cluster.replicas(cloud, service).map(|slot| slot.deaths().len()).sum::<usize>();
    let before = deaths();
    for slot in cluster.replicas(cloud, service) {
        slot.die_at(&plan);
        // The next is killed once this one can take over; where it cannot yet, the service is down for a while.
        sleep(Duration::from_millis(random.below(600))).await;
    }
    let died = lasting(Duration::ZERO, POINT_MAX, || deaths() > before).await;
    for slot in cluster.replicas(cloud, service) {
        slot.disarm();
    }
    let kind = if died { "died at a point" } else { "point not reached" };
    Ok((kind, format!("{service} of cloud {cloud} is told to die at {plan}: {kind}")))
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
