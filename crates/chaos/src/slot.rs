//! A process that is kept running: whatever ends it, it is started again, as Kubernetes does.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use testkit::port::Port;
use testkit::process::{Ended, PATIENCE, Process};
use testkit::site;

/// How often it is looked whether the process lives.
const LOOK: Duration = Duration::from_millis(20);
/// How long a process that ended by itself is left alone.
const BACKOFF: Duration = Duration::from_millis(200);

/// What is known of a process before it is started.
#[derive(Debug)]
pub struct Plan {
    /// Its name: the cloud, the service and a number.
    pub name: String,
    /// The program.
    pub program: &'static str,
    /// The cloud it is part of, by place; a gateway is part of none.
    pub cloud: Option<usize>,
    /// Where it answers.
    pub port: Port,
    /// What it is told.
    pub config: PathBuf,
    /// The folder of the files that this process alone has.
    pub folder: PathBuf,
    /// Where what it said is kept.
    pub log: PathBuf,
}

/// A place at which a process runs, for as long as the value lives.
#[derive(Debug)]
pub struct Slot {
    shared: Arc<Shared>,
    keeper: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    plan: Plan,
    state: Mutex<State>,
    ends: AtomicBool,
    deaths: Mutex<Vec<String>>,
}

#[derive(Debug)]
struct State {
    process: Option<Process>,
    is_ready: bool,
    /// What the next process is told to die at.
    arm: Option<String>,
    /// What the next process is told besides, as sections of its configuration.
    besides: String,
    /// What the process was told to die at.
    armed: Option<String>,
    /// Nothing is started before.
    down_until: Instant,
}

impl Slot {
    /// A process that is started at once.
    ///
    /// # Errors
    /// When its files cannot be written.
    pub fn start(plan: Plan) -> Result<Slot> {
        std::fs::write(plan.folder.join(format!("{}.clock", plan.name)), "0").context("a clock file")?;
        let state = State {
            process: None,
            is_ready: false,
            arm: None,
            besides: String::new(),
            armed: None,
            down_until: Instant::now(),
        };
        let shared =
            Arc::new(Shared { plan, state: Mutex::new(state), ends: AtomicBool::new(false), deaths: Mutex::default() });
        let kept = Arc::clone(&shared);
        let keeper = std::thread::spawn(move || {
            while !kept.ends.load(Ordering::SeqCst) {
                kept.look();
                std::thread::park_timeout(LOOK);
            }
        });
        Ok(Slot { shared, keeper: Some(keeper) })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.plan.name
    }

    /// The program that runs.
    #[must_use]
    pub fn program(&self) -> &'static str {
        self.shared.plan.program
    }

    /// The cloud it is part of, by place.
    #[must_use]
    pub fn cloud(&self) -> Option<usize> {
        self.shared.plan.cloud
    }

    /// Where it answers.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.shared.address()
    }

    /// Whether it answers.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.shared.state().is_ready
    }

    /// Whether the process that runs has said this.
    #[must_use]
    pub fn has_said(&self, text: &str) -> bool {
        let state = self.shared.state();
        state.process.as_ref().is_some_and(|process| process.said().contains(text))
    }

    /// Waits until it answers.
    ///
    /// # Errors
    /// When it does not within [`PATIENCE`].
    pub fn wait_ready(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !self.is_ready() {
            ensure!(Instant::now() < deadline, "{} does not answer within {PATIENCE:?}", self.name());
            std::thread::park_timeout(LOOK);
        }
        Ok(())
    }

    /// Waits until it has died at a point more often than this.
    ///
    /// # Errors
    /// When it has not within [`PATIENCE`].
    pub fn wait_death(&self, before: usize) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.deaths().len() == before {
            ensure!(Instant::now() < deadline, "{} has not died within {PATIENCE:?}", self.name());
            std::thread::park_timeout(LOOK);
        }
        Ok(())
    }

    /// At which points it has died, in order.
    #[must_use]
    pub fn deaths(&self) -> Vec<String> {
        self.shared.deaths.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Kills it, whatever it is doing; another is started after this time.
    pub fn kill(&self, down: Duration) {
        let mut state = self.shared.state();
        state.down_until = Instant::now() + down;
        state.is_ready = false;
        state.armed = None;
        if let Some(process) = state.process.take() {
            self.shared.keep(&process.killed());
        }
    }

    /// Kills it and starts another, which dies at this point: `change.committed:1`. The one after that lives.
    pub fn die_at(&self, point: &str) {
        self.shared.state().arm = Some(point.to_owned());
        self.kill(Duration::ZERO);
    }

    /// Kills it and starts another, which is told this besides, as sections of its configuration. So are all after it.
    pub fn tell(&self, besides: &str) {
        self.shared.state().besides = besides.to_owned();
        self.kill(Duration::ZERO);
    }

    /// Takes back what it was told to die at and whatever it was told besides.
    pub fn disarm(&self) {
        let was_told = {
            let mut state = self.shared.state();
            state.arm = None;
            let besides = std::mem::take(&mut state.besides);
            state.armed.is_some() || !besides.is_empty()
        };
        if was_told {
            self.kill(Duration::ZERO);
        }
    }

    /// Asks it to end, as a rolling restart does, and starts another when it has.
    ///
    /// # Errors
    /// When it does not end, or not well.
    pub fn restart(&self) -> Result<()> {
        let (process, mut is_asked) = {
            let mut state = self.shared.state();
            state.down_until = Instant::now() + 2 * PATIENCE;
            // One that is not up yet listens to no signal, and one that is to die may do so on its way.
            let is_asked = state.is_ready && state.armed.is_none();
            state.is_ready = false;
            state.armed = None;
            (state.process.take(), is_asked)
        };
        let ended = process.map(|mut process| {
            is_asked &= process.is_alive();
            if is_asked { process.terminated() } else { process.killed() }
        });
        self.shared.state().down_until = Instant::now();
        let Some(ended) = ended else {
            return Ok(());
        };
        self.shared.keep(&ended);
        ensure!(!is_asked || ended.code() == 0, "{} was told to end and ended with {}", self.name(), ended.status);
        Ok(())
    }

    /// Moves its clock so many seconds away from that of the machine.
    ///
    /// # Errors
    /// When its clock file cannot be written.
    pub fn set_clock(&self, seconds: i64) -> Result<()> {
        std::fs::write(self.shared.clock(), seconds.to_string()).context("a clock file")
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::SeqCst);
        if let Some(keeper) = self.keeper.take() {
            keeper.thread().unpark();
            // A keeper that panicked has said so.
            keeper.join().ok();
        }
        self.kill(Duration::ZERO);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.plan.port.number()))
    }

    fn clock(&self) -> PathBuf {
        self.plan.folder.join(format!("{}.clock", self.plan.name))
    }

    /// Starts what does not run, and notes what answers and what has ended.
    fn look(&self) {
        let mut guard = self.state();
        let state = &mut *guard;
        let Some(process) = &mut state.process else {
            if Instant::now() >= state.down_until {
                let arm = state.arm.take();
                state.process = Some(self.launch(arm.as_deref(), &state.besides));
                state.armed = arm;
            }
            return;
        };
        if process.is_alive() {
            if !state.is_ready {
                state.is_ready = process.found(site::ready).is_some();
            }
            return;
        }
        state.is_ready = false;
        state.down_until = Instant::now() + BACKOFF;
        let ended = state.process.take().map(Process::ended);
        if let Some(point) = state.armed.take() {
            self.deaths.lock().unwrap_or_else(PoisonError::into_inner).push(point);
        }
        drop(guard);
        if let Some(ended) = ended {
            self.keep(&ended);
        }
    }

    fn launch(&self, die_at: Option<&str>, besides: &str) -> Process {
        let Plan { name, program, config, folder, .. } = &self.plan;
        let section = if *program == "gateway" { "fault_injection" } else { "process.fault_injection" };
        let die_at = die_at.map(|point| format!("die_at = \"{point}\"\n")).unwrap_or_default();
        let text = format!("[{section}]\nclock_file = \"{}\"\n{die_at}{besides}", self.clock().display());
        let faults = folder.join(format!("{name}-faults.toml"));
        std::fs::write(&faults, text).expect("the folder took files before");
        let path = |path: &PathBuf| path.to_str().expect("a path of text").to_owned();
        Process::start(
            program,
            ["serve".to_owned(), "--config".to_owned(), path(config), "--config".to_owned(), path(&faults)],
        )
    }

    /// Keeps what a process said, for whoever looks for the cause of a violation.
    fn keep(&self, ended: &Ended) {
        let file = self.plan.log.join(format!("{}.log", self.plan.name));
        if let Ok(mut file) = OpenOptions::new().create(true).append(true).open(file) {
            // A log that cannot be written is no fault of the system.
            writeln!(file, "{}{}== {}", ended.out, ended.err, ended.status).ok();
        }
    }
}
