//! `cargo xtask bench [accept] [check] [growth] [--quick] [--document]`: measures, prints the tables, and with `--document` puts
//! them into docs/performance.md.
#![expect(clippy::print_stdout, reason = "the tables are for people")]

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use bench::{MEASUREMENTS, Plan, Report};
use clock::Clock;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
/// Between these stand the figures of the last run of record.
const BEGIN: &str = "<!-- figures: cargo xtask bench --document -->";
const END: &str = "<!-- end of figures -->";

#[tokio::main]
async fn main() -> Result<()> {
    let (mut plan, mut what, mut document) = (Plan::FULL, Vec::new(), false);
    for word in std::env::args().skip(1) {
        match word.as_str() {
            // Cargo says so to every benchmark.
            "--bench" => {}
            "--quick" => plan = Plan::QUICK,
            "--document" => document = true,
            word => match MEASUREMENTS.iter().find(|name| **name == word) {
                Some(name) => what.push(*name),
                None => bail!("{word}: expected accept, check, growth, --quick or --document"),
            },
        }
    }
    if what.is_empty() {
        what.extend(MEASUREMENTS);
    }
    let seconds = Clock::system().now().seconds();
    let mut report = Report::new(&Path::new(ROOT).join(format!("target/bench/{seconds}.jsonl")))?;
    bench::run(plan, &what, &mut report).await?;
    println!("{}", report.text());
    println!("every window: {}", report.file().canonicalize()?.display());
    if document {
        put_into_document(report.text())?;
    }
    Ok(())
}

fn put_into_document(figures: &str) -> Result<()> {
    let file = Path::new(ROOT).join("docs/performance.md");
    let text = std::fs::read_to_string(&file).context("docs/performance.md cannot be read")?;
    let (before, rest) = text.split_once(BEGIN).context("docs/performance.md has no place for figures")?;
    let (_, after) = rest.split_once(END).context("the place for figures in docs/performance.md has no end")?;
    let text = format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", figures.trim_end());
    std::fs::write(&file, text).context("docs/performance.md cannot be written")
}
