//! The command line of a service, tried on the smallest one there is.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use api::cloud::ListCloudsRequest;
use api::cloud::cloud_service_client::CloudServiceClient;
use tempfile::TempDir;

use crate::system;
use testkit::certificates::Authority;

const USAGE: Option<i32> = Some(64);

/// The example `bare`, which cargo builds with the tests, beside them.
fn bare() -> Command {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap();
    Command::new(folder.join("examples/bare"))
}

fn run(arguments: &[&str]) -> Output {
    bare().args(arguments).output().unwrap()
}

/// A configuration with which the service starts.
struct Files {
    authority: Authority,
    folder: TempDir,
    config: PathBuf,
}

impl Files {
    fn new() -> Files {
        let (authority, folder) = (Authority::new(), TempDir::new().unwrap());
        let mut common = system::common(&authority, "http://127.0.0.1:1");
        common.telemetry.log_format = server::telemetry::LogFormat::Json;
        let text = toml::to_string(&toml::Table::from_iter(
            [("process", toml::Value::try_from(&common).unwrap())].map(|(key, value)| (key.to_owned(), value)),
        ));
        let config = folder.path().join("bare.toml");
        std::fs::write(&config, text.unwrap()).unwrap();
        Files { authority, folder, config }
    }

    fn config(&self) -> &str {
        self.config.to_str().unwrap()
    }
}

#[track_caller]
fn assert_one_sentence(output: &Output, expected: &str) {
    let told = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), USAGE, "{told}");
    assert!(told.contains(expected), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.starts_with("bare: "), "{told}");
}

#[test]
fn wrong_usage_has_the_exit_code_of_usage_and_help_has_not() {
    assert_eq!(run(&[]).status.code(), USAGE);
    assert_eq!(run(&["serve"]).status.code(), USAGE);
    assert_eq!(run(&["start", "--config", "x"]).status.code(), USAGE);
    let help = run(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(String::from_utf8(help.stdout).unwrap().contains("print-config"));
}

#[test]
fn a_configuration_that_cannot_be_used_is_one_sentence() {
    let files = Files::new();
    assert_one_sentence(&run(&["serve", "--config", "/nowhere/bare.toml"]), "/nowhere/bare.toml: cannot be read");
    let over = files.folder.path().join("over.toml");
    std::fs::write(&over, "[process.limits]\ncalls_max = 0\n").unwrap();
    let over = over.to_str().unwrap();
    for command in ["serve", "migrate", "print-config"] {
        let output = run(&[command, "--config", files.config(), "--config", over]);
        assert_one_sentence(&output, "over.toml: process.limits.calls_max: 0 is out of range");
    }
}

#[test]
fn what_is_in_the_way_is_one_sentence() {
    let files = Files::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output =
        bare().args(["serve", "--config", files.config()]).env("MANDATE__PROCESS__LISTEN", &address).output().unwrap();
    assert_one_sentence(&output, &format!("cannot listen on {address}"));
    let output = run(&["migrate", "--config", files.config()]);
    assert_one_sentence(&output, "there is no database to migrate");
}

#[test]
fn an_outbox_is_asked_in_words_that_fit_and_one_that_is_not_there_is_one_sentence() {
    let files = Files::new();
    let config = ["--config", files.config()];
    let id = "0193b0c4-0000-7000-8000-000000000001";
    let fitting: [&[&str]; 5] = [
        &["status"],
        &["parked", "--output", "json"],
        &["redrive", "--all"],
        &["redrive", "--id", id],
        &["redeliver", "--since", "2026-01-31T08:00:00Z"],
    ];
    for words in fitting {
        let output = run(&[&["outbox"], words, &config].concat());
        assert_one_sentence(&output, "the bare service has no outbox");
    }
    let wrong: [&[&str]; 5] = [
        &["redrive"],
        &["redrive", "--all", "--id", id],
        &["redrive", "--id", "first"],
        &["redeliver"],
        &["redeliver", "--since", "yesterday"],
    ];
    for words in wrong {
        let output = run(&[&["outbox"], words, &config].concat());
        assert_eq!(output.status.code(), USAGE, "{words:?}");
        assert!(!String::from_utf8(output.stderr).unwrap().contains("no outbox"), "{words:?} was understood");
    }
}

#[test]
fn the_merged_configuration_is_printed() {
    let files = Files::new();
    let output = bare()
        .args(["print-config", "--config", files.config()])
        .env("MANDATE__PROCESS__LIMITS__CALLS_MAX", "7")
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(printed.contains("calls_max = 7") && printed.contains("cloud = \"public\""), "{printed}");
}

/// Ends with the test, come what may.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        // Fails when it has ended already, which is what tests are about.
        let _ = self.0.kill();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_answers_until_it_is_told_to_end() {
    let files = Files::new();
    for sign in ["-TERM", "-INT"] {
        let child = bare().args(["serve", "--config", files.config()]).stdout(Stdio::piped()).spawn().unwrap();
        let mut served = Served(child);
        let mut log = BufReader::new(served.0.stdout.take().unwrap()).lines();
        let ready = log.by_ref().map(Result::unwrap).find(|line| line.contains("\"ready\"")).unwrap();
        let ready: serde_json::Value = serde_json::from_str(&ready).unwrap();
        let address = ready["address"].as_str().unwrap().parse().unwrap();
        let running = server::Running { address, probe_address: None };

        let tls = system::certify(&files.authority, "spiffe://mandate.internal/gateway");
        let channel = system::connect(running, &tls, true).await.unwrap();
        let mut client = CloudServiceClient::new(channel);
        assert!(client.list_clouds(ListCloudsRequest {}).await.is_ok());

        let told = Command::new("kill").args([sign, &served.0.id().to_string()]).status().unwrap();
        assert!(told.success());
        let ended = tokio::task::block_in_place(|| served.0.wait().unwrap());
        assert_eq!(ended.code(), Some(0), "{sign}");
        assert!(client.list_clouds(ListCloudsRequest {}).await.is_err());
    }
}
