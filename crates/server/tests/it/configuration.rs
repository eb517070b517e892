//! Configuration: how sources are merged, and what is said about a value that cannot be used.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use server::config::{self, Common, ConfigError, Fault, Settings};
use server::{Server, StartError};
use tempfile::TempDir;

use crate::system;
use testkit::certificates::Authority;

/// A service's configuration, as services write theirs.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    process: Common,
    #[serde(default)]
    colors: Vec<String>,
}

impl Settings for Example {
    fn check(&self) -> Result<(), Fault> {
        self.process.check().map_err(|fault| fault.within("process"))
    }

    fn telemetry(&self) -> &server::telemetry::Settings {
        &self.process.telemetry
    }

    fn cloud(&self) -> &str {
        &self.process.cloud
    }

    fn drain(&self) -> Duration {
        self.process.limits.drain_max_seconds.0
    }

    fn fault_injection(&self) -> &server::config::FaultInjection {
        &self.process.fault_injection
    }
}

const BASE: &str = r#"
[process]
cloud = "public"
policy = "policy.toml"
issuer = "https://issuer.example"
tls = { certificate = "a.pem", key = "a.key", authority = "ca.pem" }
"#;

struct Files(TempDir);

impl Files {
    fn new() -> Files {
        Files(TempDir::new().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

fn merge(files: &[PathBuf], variables: &[(&str, &str)]) -> Result<Example, ConfigError> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    config::merge(files, variables.iter().map(owned))
}

#[test]
fn what_is_not_said_has_its_default() {
    let files = Files::new();
    let example = merge(&[files.write("base.toml", BASE)], &[]).unwrap();
    let process = example.process;
    assert_eq!(process.listen.to_string(), "127.0.0.1:8443");
    assert_eq!(process.trust_domain, "mandate.internal");
    assert!(!process.development && process.probe_listen.is_none());
    assert_eq!(process.limits, config::Limits::default());
    assert_eq!(process.limits.call_max_seconds.0, Duration::from_secs(15));
}

#[test]
fn faults_are_injected_in_development_alone() {
    let files = Files::new();
    let base = [files.write("base.toml", BASE)];
    let development = ("MANDATE__PROCESS__DEVELOPMENT", "true");
    let die_at = ("MANDATE__PROCESS__FAULT_INJECTION__DIE_AT", "change.committed:2");
    let example = merge(&base, &[development, die_at]).unwrap();
    assert_eq!(example.process.fault_injection.die_at.as_deref(), Some("change.committed:2"));
    for fault in [die_at, ("MANDATE__PROCESS__FAULT_INJECTION__CLOCK_FILE", "/tmp/clock")] {
        let refused = merge(&base, &[fault]).unwrap_err().to_string();
        assert!(refused.contains("process.fault_injection: is for development alone"), "{refused}");
    }
    let nowhere = ("MANDATE__PROCESS__FAULT_INJECTION__DIE_AT", "nowhere:1");
    let refused = merge(&base, &[development, nowhere]).unwrap_err().to_string();
    assert!(
        refused.contains("process.fault_injection.die_at: \"nowhere:1\" is no point; expected one of"),
        "{refused}"
    );
}

#[test]
fn later_sources_win_and_leave_the_rest() {
    let files = Files::new();
    let base = files.write("base.toml", BASE);
    let over = "[process]\nlisten = \"0.0.0.0:1\"\n[process.limits]\ncalls_max = 7\ncall_max_seconds = 0.5\n";
    let over = files.write("over.toml", over);
    let variables = [
        ("MANDATE__PROCESS__LISTEN", "127.0.0.1:2"),
        ("MANDATE__PROCESS__LIMITS__CALLS_MAX", "8"),
        ("MANDATE__PROCESS__DEVELOPMENT", "true"),
        ("MANDATE__PROCESS__TRUST_DOMAIN", "42"),
        ("MANDATE__COLORS", "[\"red\"]"),
        ("PATH", "/bin"),
    ];
    // A name already set as text stays text, whatever the variable looks like.
    let named = files.write("named.toml", "[process]\ntrust_domain = \"a\"\n");
    let example = merge(&[base, over, named], &variables).unwrap();
    assert_eq!(example.process.listen.to_string(), "127.0.0.1:2");
    assert_eq!(example.process.limits.calls_max, 8);
    assert_eq!(example.process.limits.call_max_seconds.0, Duration::from_millis(500));
    assert!(example.process.development);
    assert_eq!(example.process.trust_domain, "42");
    assert_eq!(example.process.cloud, "public");
    assert_eq!(example.colors, ["red"]);
}

#[test]
fn a_value_that_cannot_be_used_is_named_with_its_file() {
    let files = Files::new();
    let base = files.write("base.toml", BASE);
    for (text, key, expected) in [
        ("[process.limits]\ncalls_max = 0\n", "process.limits.calls_max", "0 is out of range; expected 1 to 1000000"),
        ("[process.limits]\ncalls_max = -1\n", "process.limits.calls_max", "expected u32"),
        (
            "[process.limits]\ncall_max_seconds = 301\n",
            "process.limits.call_max_seconds",
            "301 is out of range; expected more than 0, at most 300",
        ),
        ("[process.limits]\ncall_max = 3\n", "process.limits.call_max", "unknown field"),
        ("[process]\nlisten = \"here\"\n", "process.listen", "socket address"),
        ("[process]\ncloud = \"Public\"\n", "process.cloud", "expected [a-z][a-z0-9-]{0,31}"),
        ("[process]\nissuer = \"http://issuer\"\n", "process.issuer", "expected an https URI"),
        (
            "[process]\ndevelopment = true\nlisten = \"0.0.0.0:1\"\n",
            "process.listen",
            "expected a loopback address in development",
        ),
        ("[proces]\nlisten = \"127.0.0.1:1\"\n", "proces", "unknown field"),
    ] {
        let over = files.write("over.toml", text);
        let error = merge(&[base.clone(), over.clone()], &[]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{}: {key}: ", over.display())), "{error}");
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn a_variable_that_cannot_be_used_is_named() {
    let files = Files::new();
    let base = files.write("base.toml", BASE);
    let variables = [("MANDATE__PROCESS__LIMITS__CALLS_MAX", "many")];
    let error = merge(&[base], &variables).unwrap_err().to_string();
    let expected = "MANDATE__PROCESS__LIMITS__CALLS_MAX: process.limits.calls_max: ";
    assert!(error.starts_with(expected), "{error}");
}

#[test]
fn a_missing_key_is_named_with_all_files() {
    let files = Files::new();
    let base = files.write("base.toml", &BASE.replace("issuer", "#issuer"));
    let error = merge(std::slice::from_ref(&base), &[]).unwrap_err().to_string();
    assert!(error.starts_with(&base.display().to_string()), "{error}");
    assert!(error.contains("process: missing field `issuer`"), "{error}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let files = Files::new();
    let absent = files.0.path().join("absent.toml");
    let error = merge(std::slice::from_ref(&absent), &[]).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}: cannot be read", absent.display())), "{error}");
    let broken = files.write("broken.toml", "[process]\ncloud = \n");
    let error = merge(std::slice::from_ref(&broken), &[]).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}: line 2: ", broken.display())), "{error}");
    assert!(!error.contains('\n'), "{error}");
}

#[test]
fn what_is_printed_can_be_read_again() {
    let files = Files::new();
    let example = merge(&[files.write("base.toml", BASE)], &[]).unwrap();
    let printed = toml::to_string_pretty(&example).unwrap();
    assert!(printed.contains("drain_max_seconds = 10"), "{printed}");
    let again = merge(&[files.write("printed.toml", &printed)], &[]).unwrap();
    assert_eq!(again.process, example.process);
}

fn sentence<T>(result: Result<T, StartError>) -> String {
    let sentence = result.err().expect("it cannot start").to_string();
    assert!(!sentence.contains('\n'), "{sentence}");
    sentence
}

#[tokio::test]
async fn what_is_in_the_way_of_a_start_is_told_in_one_sentence() {
    let authority = Authority::new();
    let common = system::common(&authority, "http://127.0.0.1:1");

    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut wrong = common.clone();
    wrong.listen = taken.local_addr().unwrap();
    let told = sentence(Server::bind(&wrong).await);
    assert!(told.contains(&wrong.listen.to_string()) && told.contains("another process"), "{told}");

    let mut wrong = common.clone();
    wrong.listen = "0.0.0.0:0".parse().unwrap();
    let told = sentence(Server::bind(&wrong).await);
    assert!(told.starts_with("listen: 0.0.0.0:0") && told.contains("development"), "{told}");

    let mut wrong = common.clone();
    wrong.tls.key = PathBuf::from("/nowhere/key.pem");
    let told = sentence(Server::bind(&wrong).await);
    assert!(told.starts_with("tls.key: /nowhere/key.pem cannot be read"), "{told}");

    let mut wrong = common.clone();
    wrong.tls.key.clone_from(&wrong.tls.certificate);
    let told = sentence(Server::bind(&wrong).await);
    assert!(told.starts_with("tls: ") && told.contains("private key"), "{told}");

    let mut wrong = common;
    wrong.cloud = "china".to_owned();
    let shutdown = server::Shutdown::new();
    let told = sentence(server::Process::load("x", &wrong, clock::Clock::system(), shutdown));
    assert!(told.contains("policy.toml") && told.contains("\"public\""), "{told}");
}
