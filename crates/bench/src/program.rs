//! The processes that are measured: started without anybody who reads what they say, so that reading costs nothing, and what
//! each has used of the processors.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// How long a program may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);
/// What `sysconf(_SC_CLK_TCK)` says on every Linux: the kernel counts time in hundredths of a second for us.
const TICK_US: f64 = 10_000.0;
/// Processes that use less than this share of one processor do nothing but wait.
const QUIET_SHARE: f64 = 0.05;
const QUIET_WINDOW: Duration = Duration::from_millis(250);
/// How long work may go on behind answers that were given.
const SETTLE_MAX: Duration = Duration::from_secs(300);

/// A running program. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
}

impl Program {
    /// Starts a program of this workspace, and waits until it listens at this address. Its log lines are written and go nowhere.
    ///
    /// # Errors
    /// When it ends before or does not listen in time; with what it complained about.
    pub(crate) fn serve(name: &str, config: &Path, address: SocketAddr) -> Result<Program> {
        let complaints = config.with_extension("err");
        let mut command = Command::new(testkit::process::program(name));
        command.arg("serve").arg("--config").arg(config).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(File::create(&complaints)?).spawn();
        let mut program = Program { child: child.with_context(|| format!("{name} cannot be started"))? };
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            if program.child.try_wait()?.is_some() || start.elapsed() > PATIENCE {
                bail!("{name} does not answer: {}", fs::read_to_string(&complaints)?);
            }
            std::thread::sleep(POLL);
        }
        Ok(program)
    }

    /// What it has used of the processors.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) fn usage(&self) -> Result<Usage> {
        Usage::of(self.child.id())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Fails when it has ended by itself, which comes to the same.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processor time of a process since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Usage {
    /// In user and kernel mode together, in microseconds, to 10 ms.
    pub(crate) micros: f64,
}

impl Usage {
    /// Of this process itself.
    ///
    /// # Errors
    /// On a machine without `/proc`.
    pub(crate) fn own() -> Result<Usage> {
        Usage::of(std::process::id())
    }

    fn of(pid: u32) -> Result<Usage> {
        let stat = Stat::of(pid).with_context(|| format!("/proc tells nothing of process {pid}"))?;
        Ok(Usage { micros: stat.ticks * TICK_US })
    }

    /// Of all processes of the PostgreSQL server that is a child of ours, those included that have ended.
    ///
    /// # Errors
    /// On a machine without `/proc`, or when there is no such server.
    pub(crate) fn postgres() -> Result<Usage> {
        let mut all = Vec::new();
        for entry in fs::read_dir("/proc").context("there is no /proc")? {
            let pid = entry?.file_name().to_str().and_then(|name| name.parse().ok());
            all.extend(pid.and_then(|pid: u32| Some((pid, Stat::of(pid)?))));
        }
        let is_server = |stat: &Stat| stat.name == "postgres" && stat.parent == std::process::id();
        let (server, stat) = all.iter().find(|(_, stat)| is_server(stat)).context("no PostgreSQL of ours runs")?;
        let backends = all.iter().filter(|(_, stat)| stat.parent == *server);
        let ticks: f64 = backends.map(|(_, stat)| stat.ticks).sum();
        Ok(Usage { micros: (ticks + stat.ticks + stat.ticks_of_children) * TICK_US })
    }
}

/// What the kernel tells of a process.
struct Stat {
    name: String,
    parent: u32,
    ticks: f64,
    /// Of children that have ended.
    ticks_of_children: f64,
}

impl Stat {
    fn of(pid: u32) -> Option<Stat> {
        Stat::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// As `man 5 proc` has it. A name may hold anything, so what follows it is found from the end.
    fn parse(line: &str) -> Option<Stat> {
        let (begin, rest) = line.rsplit_once(')')?;
        let (_, name) = begin.split_once('(')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let number = |place: usize| fields.get(place)?.parse::<f64>().ok();
        Some(Stat {
            name: name.to_owned(),
            parent: fields.get(1)?.parse().ok()?,
            ticks: number(11)? + number(12)?,
            ticks_of_children: number(13)? + number(14)?,
        })
    }
}

/// Waits until these programs and PostgreSQL do nothing more, and tells how long that took. What an accept leaves to be
/// delivered must not weigh on what is measured next.
///
/// # Errors
/// When they do not come to rest.
pub(crate) async fn settled(programs: &[&Program]) -> Result<Duration> {
    let start = Instant::now();
    let used = || -> Result<f64> {
        let mut total = Usage::postgres()?.micros;
        for program in programs {
            total += program.usage()?.micros;
        }
        Ok(total)
    };
    let mut before = used()?;
    while start.elapsed() < SETTLE_MAX {
        tokio::time::sleep(QUIET_WINDOW).await;
        let now = used()?;
        if (now - before) / 1e6 < QUIET_SHARE * QUIET_WINDOW.as_secs_f64() {
            return Ok(start.elapsed().saturating_sub(QUIET_WINDOW));
        }
        before = now;
    }
    bail!("the services are still busy {SETTLE_MAX:?} after the last call was answered")
}

#[cfg(test)]
mod tests {
    use super::Stat;

    #[test]
    fn a_process_is_read_whatever_its_name() {
        let line = "77 (po) (st) S 12 77 77 0 -1 4194560 5124 0 8 0 150 50 7 3 20 0 9 0 100 1 1";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.name.as_str(), stat.parent), ("po) (st", 12));
        assert_eq!((stat.ticks, stat.ticks_of_children), (200.0, 10.0));
    }
}
