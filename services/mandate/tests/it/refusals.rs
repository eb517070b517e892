//! Starts that cannot be: one sentence, the exit code of usage errors, nothing half started.

use std::net::TcpListener;
use std::path::Path;

use crate::system::{Said, System, mandate};

const USAGE: i32 = 64;

fn up(data_dir: &Path, arguments: &[&str]) -> Said {
    let data_dir = data_dir.to_str().expect("a path of text");
    mandate(&[&["up", "--data-dir", data_dir][..], arguments].concat())
}

fn assert_one_sentence(said: &Said, parts: &[&str]) {
    assert_eq!(said.code, USAGE, "{} {}", said.out, said.err);
    assert_eq!(said.out, "");
    assert_eq!(said.err.lines().count(), 1, "{}", said.err);
    assert!(said.err.starts_with("mandate: "), "{}", said.err);
    for part in parts {
        assert!(said.err.contains(part), "{part:?} in {}", said.err);
    }
}

#[test]
fn a_taken_port_is_named_with_the_option_that_changes_it() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let said = up(folder.path(), &["--port", &port, "--issuer-port", "0"]);
    assert_one_sentence(&said, &[&port, "is taken", "--port"]);
    let said = up(folder.path(), &["--port", "0", "--issuer-port", &port]);
    assert_one_sentence(&said, &[&port, "is taken", "--issuer-port"]);
    let databases = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(databases, 1, "nothing but the lock was made");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let said = up(&file.join("below"), &["--port", "0"]);
    assert_one_sentence(&said, &["cannot create", "file/below", "another data directory"]);
}

#[test]
fn a_folder_with_other_things_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("thesis.txt"), "").unwrap();
    let before = folder.path().metadata().unwrap().permissions();
    let said = up(folder.path(), &["--port", "0"]);
    assert_one_sentence(&said, &["other things", "--data-dir"]);
    assert_eq!(folder.path().metadata().unwrap().permissions(), before);
}

#[test]
fn a_broken_policy_is_told_with_file_line_and_key_and_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let policy = include_str!("../../../../deploy/clouds/public/policy/policy.toml");
    let broken = policy.replace("exclusive_holder = false", "exclusive_holder = \"perhaps\"");
    assert_ne!(broken, policy);
    std::fs::create_dir(folder.path().join("public")).unwrap();
    std::fs::write(folder.path().join("public/policy.toml"), broken).unwrap();
    let data = folder.path().join("data");
    let policies = folder.path().to_str().unwrap();
    let said = up(&data, &["--port", "0", "--policy-dir", policies]);
    assert_one_sentence(&said, &["public/policy.toml", "delegation.exclusive_holder"]);
    assert!(!data.exists());
}

#[test]
fn a_second_start_on_the_same_folder_is_refused_and_the_first_does_not_notice() {
    let folder = tempfile::tempdir().unwrap();
    let system = System::start(folder.path());
    let said = up(folder.path(), &["--port", "0"]);
    assert_one_sentence(&said, &["another `mandate up` runs", "--data-dir"]);
    system.call(&["clouds"]).fine();
}

#[test]
fn a_broken_key_is_told_with_its_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("public")).unwrap();
    std::fs::write(folder.path().join("public/link-keys.toml"), "nonsense").unwrap();
    std::fs::write(folder.path().join("lock"), "").unwrap();
    let said = up(folder.path(), &["--port", "0", "--log", "off"]);
    assert_one_sentence(&said, &["public/link-keys.toml"]);
}

#[test]
fn a_command_that_is_none_is_a_usage_error_and_help_is_not() {
    assert_eq!(mandate(&["nonsense"]).code, USAGE);
    assert_eq!(mandate(&["up", "--port", "x"]).code, USAGE);
    let help = mandate(&["--help"]).fine();
    for command in ["up", "tour", "token", "link", "accept", "check", "watch", "policy"] {
        assert!(help.out.contains(command), "{command}");
    }
}

#[test]
fn without_a_gateway_the_commands_say_how_to_start_one() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let gateway = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    for command in [&["clouds"][..], &["tour"], &["link", "--as", "ada"], &["token", "--as", "ada"]] {
        let said = mandate(&[command, &["--gateway", &gateway]].concat());
        assert_eq!(said.code, 1, "{command:?} {}", said.err);
        assert_eq!(said.err.lines().count(), 1, "{}", said.err);
        assert!(said.err.contains("mandate up"), "{}", said.err);
    }
}
