//! Everything can still be measured: the whole suite with tiny numbers, which mean nothing.

use bench::{MEASUREMENTS, Plan, Report};

#[tokio::test(flavor = "multi_thread")]
async fn everything_can_be_measured() {
    let folder = tempfile::tempdir().expect("room for a folder");
    let mut report = Report::new(&folder.path().join("results.jsonl")).expect("room for a file");
    bench::run(Plan::SMOKE, &MEASUREMENTS, &mut report).await.expect("every call is answered");
    let lines = std::fs::read_to_string(report.file()).expect("the lines were written");
    // Two of accepts and one of pgbench; five ways to check and one of pgbench; six calls at each of two sizes.
    assert_eq!(lines.lines().count(), 3 + 6 + 12, "{lines}");
    for line in lines.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
        let rate = line["sample"]["rate"].as_f64();
        assert!(rate.is_some_and(|rate| rate > 0.0), "nothing was answered: {line}");
    }
    let (begin, _) = report.text().split_once("\n\n").expect("it begins with what was measured");
    assert!(begin.contains(", commit ") && begin.contains(" build."), "{begin}");
    // Of so few rows only these are sure to need another page.
    assert!(report.text().lines().any(|line| line.starts_with("| outbox_delivered |")), "events weigh nothing");
    let titles: Vec<&str> = report.text().lines().filter(|line| line.starts_with("### ")).collect();
    assert_eq!(titles.len(), 6, "{titles:?}");
}
