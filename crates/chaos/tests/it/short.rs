//! A run as `cargo xtask chaos` makes them, short enough for every day.

use std::path::Path;
use std::sync::Arc;

use chaos::cluster::{Cluster, Engine, Shape, unlike};
use chaos::round::{self, Settings};

/// Any would do; this one is kept so that the plan is the same every day.
const SEED: u64 = 20_200_617;

#[tokio::test(flavor = "multi_thread")]
async fn a_short_run_with_everything_failing_keeps_every_promise() {
    let logs = round::logs(Path::new(env!("CARGO_TARGET_TMPDIR")), SEED).expect("room for logs");
    let policies = unlike().expect("the clouds of this checkout")[..1].to_vec();
    let shape = Shape { policies, replicas: 2, gateways: 1, engine: Engine::Postgres, logs: logs.clone() };
    let cluster = Arc::new(Cluster::start(&shape).await.expect("the system starts"));
    let settings = Settings { seed: SEED, clients: 6, operations: 8, faults: true, logs };
    let report = round::run(&cluster, &settings, 1).await.expect("the round comes to its end");
    assert!(report.violations.is_empty(), "{report:#?}");
    assert!(report.acknowledged > 20, "too little was done to prove anything: {report:#?}");
    assert!(report.faults.values().sum::<usize>() > 4, "too little failed to prove anything: {report:#?}");
}
