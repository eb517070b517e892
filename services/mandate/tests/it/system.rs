//! Starts `mandate up` as a child process and runs other commands against it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use serde_json::Value;

/// A running system. Killed when dropped, if it has not been stopped.
pub(crate) struct System {
    child: Child,
    panel: BufReader<std::process::ChildStdout>,
    /// Where the gateway answers.
    pub(crate) gateway: String,
}

/// What a command said.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// Its output as JSON.
    pub(crate) fn json(&self) -> Value {
        let parsed = serde_json::from_str(&self.out);
        parsed.unwrap_or_else(|_| panic!("no JSON: {} {}", self.out, self.err))
    }

    /// Its output, of a command that must succeed.
    pub(crate) fn fine(self) -> Said {
        assert_eq!(self.code, 0, "{} {}", self.out, self.err);
        self
    }
}

/// Runs the binary to its end.
pub(crate) fn mandate(arguments: &[&str]) -> Said {
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_mandate")).args(arguments).output().expect("the binary runs");
    Said {
        code: status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&stdout).into_owned(),
        err: String::from_utf8_lossy(&stderr).into_owned(),
    }
}

impl System {
    /// Starts on ports that the system chooses.
    pub(crate) fn start(data_dir: &Path) -> System {
        System::start_with(data_dir, &["--port", "0"])
    }

    /// Starts with these arguments; returns once it answers.
    pub(crate) fn start_with(data_dir: &Path, arguments: &[&str]) -> System {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mandate"))
            .arg("up")
            .arg("--data-dir")
            .arg(data_dir)
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut panel = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        let gateway = loop {
            line.clear();
            if panel.read_line(&mut line).expect("text") == 0 {
                let mut complaint = String::new();
                let mut stderr = child.stderr.take().expect("it is piped");
                stderr.read_to_string(&mut complaint).expect("text");
                panic!("it did not start: {complaint}");
            }
            if let Some(rest) = line.strip_prefix("Mandate answers at ") {
                break rest.split(' ').next().expect("an address").to_owned();
            }
        };
        System { child, panel, gateway }
    }

    /// The port of an address like `http://127.0.0.1:7070/public`.
    pub(crate) fn port_of(uri: &str) -> &str {
        let (_, port) = uri.rsplit_once(':').expect("a port");
        port.split('/').next().expect("a port")
    }

    /// Where the issuers answer.
    pub(crate) fn issuer_port(&self) -> String {
        let clouds = self.call(&["clouds", "--output", "json"]).fine().json();
        let issuer = clouds["clouds"][0]["issuer"].as_str().expect("an issuer").to_owned();
        System::port_of(&issuer).to_owned()
    }

    /// Runs a command against this system.
    pub(crate) fn call(&self, arguments: &[&str]) -> Said {
        let gateway = ["--gateway", &self.gateway];
        mandate(&[arguments, &gateway].concat())
    }

    /// Runs a command against this system that goes on by itself; returns once it has said something.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Child {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mandate"))
            .args(arguments)
            .args(["--gateway", &self.gateway])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut out = child.stdout.take().expect("it is piped");
        out.read_exact(&mut [0]).expect("it says something");
        child.stdout = Some(out);
        child
    }

    /// Sends a signal, and waits for the end. Returns how it ended and the rest of what it printed.
    pub(crate) fn stop(mut self, signal: &str) -> (ExitStatus, String) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().expect("kill runs");
        assert!(sent.success());
        let mut rest = String::new();
        self.panel.read_to_string(&mut rest).expect("text");
        (self.child.wait().expect("it was running"), rest)
    }
}

impl Drop for System {
    fn drop(&mut self) {
        // Already gone when it was stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
