//! Runs as `cargo xtask chaos` makes them, short enough for every day: one on servers and one on files, in clouds that differ.

use std::path::Path;
use std::sync::Arc;

use chaos::cluster::{Cluster, Engine, Shape, unlike};
use chaos::round::{self, Report, Settings};

/// Seeds whose first faults break the two busiest lines, so that there is something to lose.
const ON_SERVERS: u64 = 20_200_652;
const ON_FILES: u64 = 20_200_659;

/// A round in the cloud of this place among [`unlike`].
async fn round(cloud: usize, replicas: usize, engine: Engine, seed: u64) -> Report {
    let logs = round::logs(Path::new(env!("CARGO_TARGET_TMPDIR")), seed).expect("room for logs");
    let policies = unlike().expect("the clouds of this checkout")[cloud..=cloud].to_vec();
    let shape = Shape { policies, replicas, gateways: 1, engine, logs: logs.clone() };
    let cluster = Arc::new(Cluster::start(&shape).await.expect("the system starts"));
    let settings = Settings { seed, clients: 6, operations: 8, faults: true, logs };
    let report = round::run(&cluster, &settings, 1).await.expect("the round comes to its end");
    assert!(report.violations.is_empty(), "{report:#?}");
    assert!(report.acknowledged > 20, "too little was done to prove anything: {report:#?}");
    assert!(report.repeated > 0, "nobody noticed that something failed: {report:#?}");
    report
}

/// That each of these kinds of fault happened.
fn expect_faults(report: &Report, kinds: &[&str]) {
    for kind in kinds {
        assert!(report.faults.get(kind).is_some_and(|count| *count > 0), "nothing was {kind:?}: {report:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_run_with_everything_failing_keeps_every_promise() {
    let report = round(0, 2, Engine::Postgres, ON_SERVERS).await;
    let of_processes = ["killed", "rolling restart", "clock jumped", "database crashed", "database stopped"];
    expect_faults(&report, &of_processes);
    expect_faults(&report, &["requests lost", "answers lost", "line slow", "line down", "connections cut"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_run_on_files_whose_disk_fills_up_keeps_every_promise() {
    let report = round(1, 1, Engine::Sqlite, ON_FILES).await;
    expect_faults(&report, &["disk full", "killed", "rolling restart", "clock jumped"]);
    expect_faults(&report, &["requests lost", "answers lost", "line slow", "line down", "connections cut"]);
}
