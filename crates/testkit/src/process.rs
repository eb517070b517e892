//! The programs of this workspace as child processes: started, listened to, told to end, killed.
//!
//! It does not build them: `cargo xtask` does, and puts them next to whoever runs them. What a program says is kept from its first
//! line on, so a test can wait for a line that has come already. A child never outlives its value.

use std::ffi::OsStr;
use std::fmt;
use std::io::{BufRead as _, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a program may take to say what a test waits for, or to end.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Where the program of this name was built.
///
/// # Panics
/// When it was not.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a program knows its own file");
    // Tests lie in `deps`, below the folder of the programs; a program lies beside the others.
    let mut places = own.ancestors().skip(1).take(2).map(|folder| folder.join(name));
    let found = places.find(|program| program.is_file());
    found.unwrap_or_else(|| panic!("{name} was not built beside {}: run it by `cargo xtask`", own.display()))
}

/// A running program. Killed when dropped.
pub struct Process {
    name: String,
    child: Child,
    said: Arc<Said>,
    listeners: Vec<JoinHandle<()>>,
}

/// What a program has said, and a bell for who waits for more.
#[derive(Default)]
struct Said {
    text: Mutex<Text>,
    more: Condvar,
}

#[derive(Clone, Default)]
struct Text {
    out: String,
    err: String,
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// The status.
    pub status: ExitStatus,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

impl Ended {
    /// The exit code; -1 for a program that was killed.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or(-1)
    }
}

/// Runs a program of this workspace to its end.
///
/// # Panics
/// When it cannot be started, or does not end within [`PATIENCE`].
pub fn run<A: AsRef<OsStr>>(name: &str, arguments: impl IntoIterator<Item = A>) -> Ended {
    Process::start(name, arguments).ended()
}

impl Process {
    /// Starts a program of this workspace.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start<A: AsRef<OsStr>>(name: &str, arguments: impl IntoIterator<Item = A>) -> Process {
        let mut command = Command::new(program(name));
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let said = Arc::new(Said::default());
        let (out, err) = (child.stdout.take().expect("it is piped"), child.stderr.take().expect("it is piped"));
        let listeners = vec![listen(out, &said, |text| &mut text.out), listen(err, &said, |text| &mut text.err)];
        Process { name: name.to_owned(), child, said, listeners }
    }

    /// Waits until `find` finds something in a line of the standard output.
    ///
    /// # Panics
    /// When the program ends before, or does not say it within [`PATIENCE`].
    pub fn wait_for<T>(&mut self, find: impl Fn(&str) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut text = self.said.text.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(found) = text.out.lines().find_map(&find) {
                return found;
            }
            let has_ended = self.listeners.iter().all(JoinHandle::is_finished);
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!has_ended && !left.is_zero(), "{} never said it: {}{}", self.name, text.out, text.err);
            // Wakes up now and then, because the end of a program rings no bell.
            let pause = left.min(Duration::from_millis(100));
            text = self.said.more.wait_timeout(text, pause).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// What is found in a line of the standard output up to now.
    pub fn found<T>(&self, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.said.text.lock().unwrap_or_else(PoisonError::into_inner);
        text.out.lines().find_map(&find)
    }

    /// Whether it still runs.
    ///
    /// # Panics
    /// Never: a child can always be asked.
    #[must_use]
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("a child can be asked").is_none()
    }

    /// Its standard output up to now.
    #[must_use]
    pub fn said(&self) -> String {
        self.text().out
    }

    /// Sends a signal, such as `TERM`.
    ///
    /// # Panics
    /// When the machine has no `kill`, or the program has ended.
    pub fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &pid]).status().expect("every machine has kill");
        assert!(sent.success(), "{} has ended before {signal}", self.name);
    }

    /// Asks the program to end, and waits for that.
    ///
    /// # Panics
    /// As [`Process::ended`].
    pub fn terminated(self) -> Ended {
        self.signal("TERM");
        self.ended()
    }

    /// Kills the program, whatever it is doing, and waits until it has gone.
    pub fn killed(mut self) -> Ended {
        // Fails when it has ended by itself, which comes to the same.
        let _ = self.child.kill();
        self.ended()
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// When it does not come within [`PATIENCE`].
    pub fn ended(mut self) -> Ended {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                break status;
            }
            assert!(Instant::now() < deadline, "{} does not end: {:?}", self.name, self);
            std::thread::park_timeout(Duration::from_millis(5));
        };
        for listener in self.listeners.drain(..) {
            // A listener that panicked has heard nothing more; what it heard is kept.
            let _ = listener.join();
        }
        let Text { out, err } = self.text();
        Ended { status, out, err }
    }

    fn text(&self) -> Text {
        self.said.text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Text { out, err } = self.text();
        write!(formatter, "{}, which said: {out}{err}", self.name)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Already gone when it was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(stream: impl Read + Send + 'static, said: &Arc<Said>, half: fn(&mut Text) -> &mut String) -> JoinHandle<()> {
    let said = Arc::clone(said);
    std::thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        // A pipe that breaks has nothing more to say.
        while stream.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
            let mut text = said.text.lock().unwrap_or_else(PoisonError::into_inner);
            half(&mut text).push_str(&String::from_utf8_lossy(&line));
            drop(text);
            said.more.notify_all();
            line.clear();
        }
    })
}
