//! The lines that `mandate up` prints to be pasted, really run: by `buf curl`, which stands in for grpcurl, and by a browser.

use std::path::PathBuf;
use std::process::Stdio;

use reqwest::StatusCode;
use serde_json::Value;

use super::system::System;
use crate::checkout;

/// buf, as `cargo xtask test` installs it.
pub(crate) fn buf() -> PathBuf {
    let program = checkout::root().join("target/tools/npm/node_modules/.bin/buf");
    assert!(program.exists(), "buf is missing: run cargo xtask test");
    program
}

/// The words of a line, as a shell splits it: single quotes are all that the panel needs.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for character in line.chars() {
        match character {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty())),
            other => word.push(other),
        }
    }
    words.push(word);
    words
}

/// The arguments with which `buf curl` does what grpcurl does with these.
fn translated(grpcurl: &[String]) -> Vec<String> {
    let mut arguments: Vec<String> =
        ["curl", "--http2-prior-knowledge", "--protocol", "grpc"].map(str::to_owned).into();
    let mut rest = grpcurl.iter();
    let mut places = Vec::new();
    while let Some(word) = rest.next() {
        match word.as_str() {
            "grpcurl" | "-plaintext" => {}
            "-H" | "-d" => {
                arguments.push(word.clone());
                arguments.push(rest.next().expect("an option has a value").clone());
            }
            place => places.push(place.to_owned()),
        }
    }
    let [host, what] = <[String; 2]>::try_from(places).expect("an address, and what to call there");
    if what == "list" {
        arguments.extend(["--list-services".to_owned(), format!("http://{host}")]);
    } else {
        arguments.push(format!("http://{host}/{what}"));
    }
    arguments
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_of_the_panel_works_as_it_is_printed() {
    let buf = buf();
    let mut system = System::start().await;
    let panel = system.panel();
    let lines: Vec<&str> = panel.lines().filter(|line| line.starts_with("grpcurl ")).collect();
    assert!(lines.len() >= 6, "{panel}");
    let mut answers = Vec::new();
    for line in lines {
        let mut command = system.command(&buf);
        command.args(translated(&words(line))).stdin(Stdio::null());
        command.env("BUF_CACHE_DIR", checkout::root().join("target/tools/buf-cache"));
        let ended = tokio::task::spawn_blocking(move || command.output()).await.expect("nobody panicked");
        let ended = ended.expect("buf runs");
        let complaint = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{line}: {complaint}");
        answers.push(String::from_utf8(ended.stdout).expect("text"));
    }
    assert!(answers[0].contains("mandate.invitation.v1.InvitationService"), "{}", answers[0]);
    // The lines build on each other: what was accepted is in the list, and gives the right asked about last.
    let last: Value = serde_json::from_str(answers.last().expect("there are some")).expect("JSON");
    assert_eq!(last["allowed"], true, "{last}");
    assert!(answers.iter().any(|answer| answer.contains("partnerCustomers")), "{answers:?}");

    let line = panel.lines().find(|line| line.starts_with("curl ")).expect("where the link leads");
    let uri = words(line).pop().expect("a URI");
    let answer = system.http.get(uri).send().await.expect("the gateway answers");
    assert_eq!(answer.status(), StatusCode::FOUND);
}

#[test]
fn a_line_is_split_and_translated_as_a_shell_and_grpcurl_would() {
    let line = "grpcurl -plaintext -H 'authorization: Bearer x' -d '{\"a\": \"b c\"}' 127.0.0.1:7070 a.B/C";
    let expected = [
        "curl",
        "--http2-prior-knowledge",
        "--protocol",
        "grpc",
        "-H",
        "authorization: Bearer x",
        "-d",
        "{\"a\": \"b c\"}",
        "http://127.0.0.1:7070/a.B/C",
    ];
    assert_eq!(translated(&words(line)), expected);
    let list = translated(&words("grpcurl -plaintext 127.0.0.1:7070 list"));
    assert_eq!(list[4..], ["--list-services", "http://127.0.0.1:7070"]);
}
