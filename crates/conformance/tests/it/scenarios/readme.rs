//! The main job by hand, as README.md tells it: every line is run as it stands, and must say what stands below it.
//!
//! Ids, times and numbers differ from run to run and are not compared, and neither is a line that is shortened by `…`.

use std::process::Stdio;

use super::pasted::buf;
use super::system::System;
use crate::checkout;

/// The section that is run.
const SECTION: &str = "## The main job by hand";

/// Where README.md has the gateway.
const DOCUMENTED: &str = "127.0.0.1:7070";

/// What stands for programs that this checkout does not have on its PATH, and for `cargo run` at another address.
const PRELUDE: &str = r#"
exec 2>&1
cargo() { shift 3; "$MANDATE" "$@" --gateway "http://$GATEWAY"; }
grpcurl() {
  local arguments=() places=()
  while [ $# -gt 0 ]; do
    case "$1" in
      -plaintext) shift ;;
      -H|-d) arguments+=("$1" "$2"); shift 2 ;;
      *) places+=("$1"); shift ;;
    esac
  done
  "$BUF" curl --http2-prior-knowledge --protocol grpc "${arguments[@]}" "http://${places[0]}/${places[1]}"
}
"#;

/// What stands behind the output of a command.
const END: &str = "=== end of a command ===";

/// A command, and the lines that stand below it.
#[derive(Debug, Default)]
struct Command {
    text: String,
    says: Vec<String>,
}

/// The commands of the section, in order. In `console` blocks they follow a `$`, and what they say stands below.
fn commands(readme: &str) -> Vec<Command> {
    let (_, section) = readme.split_once(SECTION).expect("README.md tells the main job");
    let section = section.split("\n## ").next().expect("a section");
    let (mut commands, mut block) = (Vec::<Command>::new(), "");
    let mut goes_on = false;
    for line in section.lines() {
        if let Some(kind) = line.strip_prefix("```") {
            block = kind;
            continue;
        }
        let start = match block {
            "sh" => Some(line),
            "console" => line.strip_prefix("$ "),
            _ => continue,
        };
        if let Some(text) = start.filter(|_| !goes_on) {
            commands.push(Command { text: text.to_owned(), says: Vec::new() });
        } else if goes_on {
            let command = commands.last_mut().expect("a line goes on after its start");
            command.text = format!("{}\n{line}", command.text);
        } else {
            commands.last_mut().expect("output follows a command").says.push(line.to_owned());
        }
        let text = &commands.last().expect("there is one").text;
        goes_on = commands.last().is_some_and(|last| last.says.is_empty())
            && (text.ends_with('\\') || text.matches('\'').count() % 2 == 1);
    }
    commands
}

/// A text without what differs from run to run: ids, numbers, white space.
fn masked(text: &str) -> String {
    let bytes: Vec<char> = text.chars().collect();
    let (mut masked, mut place) = (String::new(), 0);
    while place < bytes.len() {
        if bytes[place..].len() >= 36 && is_id(&bytes[place..place + 36]) {
            masked.push_str("ID");
            place += 36;
            continue;
        }
        match bytes[place] {
            digit if digit.is_ascii_digit() => {
                if !masked.ends_with('0') {
                    masked.push('0');
                }
            }
            white if white.is_whitespace() => {}
            other => masked.push(other),
        }
        place += 1;
    }
    masked
}

fn is_id(characters: &[char]) -> bool {
    characters.iter().enumerate().all(|(place, character)| match place {
        8 | 13 | 18 | 23 => *character == '-',
        _ => character.is_ascii_hexdigit(),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_of_the_readme_does_what_stands_below_it() {
    let commands = commands(&checkout::text("README.md"));
    assert!(commands.len() > 6, "the main job takes more than that: {commands:?}");
    let (buf, system) = (buf(), System::start().await);
    let gateway = system.uri.trim_start_matches("http://");
    let mut script = PRELUDE.to_owned();
    for command in &commands {
        script += &format!("{}\necho '{END}'\n", command.text.replace(DOCUMENTED, gateway));
    }
    let mut shell = system.command("bash");
    shell.arg("-c").arg(script).stdin(Stdio::null()).env("GATEWAY", gateway).env("BUF", buf);
    shell.env("MANDATE", testkit::process::program("mandate"));
    shell.env("BUF_CACHE_DIR", checkout::root().join("target/tools/buf-cache"));
    let ended = tokio::task::spawn_blocking(move || shell.output()).await.expect("nobody panicked");
    let out = String::from_utf8_lossy(&ended.expect("bash runs").stdout).into_owned();
    let said: Vec<&str> = out.split(END).collect();
    assert_eq!(said.len(), commands.len() + 1, "{out}");
    for (command, said) in commands.iter().zip(said) {
        let heard = masked(said);
        for line in command.says.iter().filter(|line| !line.contains('…')) {
            assert!(heard.contains(&masked(line)), "{}\ndoes not say\n{line}\nbut\n{said}", command.text);
        }
    }
}
