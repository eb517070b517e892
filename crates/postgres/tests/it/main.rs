//! Servers that crash, come back and are followed, seen through `psql`.

use postgres::{Durability, Server, programs};

fn asked(server: &Server, statement: &str) -> String {
    let mut psql = server.program("psql");
    psql.args(["--no-psqlrc", "--tuples-only", "--no-align", "--command", statement, "postgres"]);
    let output = psql.output().expect("PostgreSQL brings psql");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("it talks UTF-8").trim().to_owned()
}

fn started() -> Server {
    let programs = programs().expect("cargo xtask test names the folder");
    Server::start(&programs, Durability::None).expect("it starts")
}

#[test]
fn what_was_committed_is_there_after_a_crash_on_the_same_port() {
    let mut server = started();
    asked(&server, "CREATE TABLE kept (id INT)");
    let url = server.url();
    for count in ["1", "2"] {
        asked(&server, "INSERT INTO kept VALUES (1)");
        if count == "1" {
            server.crash().unwrap()
        } else {
            server.stop().unwrap()
        }
        server.start_again().unwrap();
        assert_eq!(asked(&server, "SELECT count(*) FROM kept"), count);
        assert_eq!(server.url(), url);
    }
}

#[test]
fn a_standby_follows_and_only_reads() {
    let server = started();
    asked(&server, "CREATE TABLE kept (id INT)");
    let standby = server.standby().unwrap();
    assert_eq!(asked(&standby, "SELECT pg_is_in_recovery()"), "t");
    asked(&server, "INSERT INTO kept VALUES (1)");
    let position = asked(&server, "SELECT pg_current_wal_lsn()");
    let is_there = format!("SELECT pg_last_wal_replay_lsn() >= '{position}'");
    while asked(&standby, &is_there) != "t" {
        std::thread::yield_now();
    }
    assert_eq!(asked(&standby, "SELECT count(*) FROM kept"), "1");
}

#[test]
fn nothing_is_left_of_a_server_that_was_dropped() {
    let server = started();
    let folder = server.folder().to_owned();
    assert!(folder.join("data").exists());
    drop(server);
    assert!(!folder.exists());
}
