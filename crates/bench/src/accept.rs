//! Accepts: through the gateway, at the relationship service itself, and as pgbench sends the same statements.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;

use crate::caller::Customers;
use crate::database::Script;
use crate::report::{Report, Sample, Samples, number, times};
use crate::statements;
use crate::suite::{Case, Suite, as_f64};

const WHAT: &str = "accept";
const END_TO_END: &str = "end to end";
const RELATIONSHIP: &str = "relationship alone";
const PGBENCH: &str = "pgbench";
/// Who takes part in an accept.
const PROGRAMS: [&str; 6] = ["gateway", "invitation", "relationship", "notification", "postgres", "callers"];
/// More than can accept in a second, of either kind, on any machine this is run on.
const CUSTOMERS_PER_SECOND: u64 = 8_000;

/// Measures accepts.
///
/// # Errors
/// When a call or a statement is refused.
pub(crate) async fn measure(suite: &mut Suite, report: &mut Report) -> Result<()> {
    let customers_per_window = suite.plan.window.as_secs().max(1) * CUSTOMERS_PER_SECOND;
    let windows = (suite.plan.rounds * suite.plan.accepting.len()) as u64;
    suite.register(customers_per_window * windows)?;
    let script = record(suite).await?;
    suite.prepare_pgbench(customers_per_window * windows)?;
    let mut all: BTreeMap<(usize, &str), Samples> = BTreeMap::new();
    let (gateway, relationship) = (suite.customers_at_gateway().await?, suite.customers_at_relationship().await?);
    let (accepted_before, disk_before) = (suite.accepted(), suite.sizes("notification")?);
    let mut window = 0;
    for _ in 0..suite.plan.rounds {
        for clients in suite.plan.accepting.iter().copied() {
            let case = |case| Case { what: WHAT, case, callers: clients };
            suite.checkpoint()?;
            let sample = end_to_end(suite, report, case(END_TO_END), &gateway).await?;
            all.entry((clients, END_TO_END)).or_default().push(sample);
            suite.checkpoint()?;
            let variables = vec![("i", 0), ("first", window * customers_per_window)];
            let sample = driven(suite, &Script { database: "pgbench", text: script.clone(), variables }, clients)?;
            suite.note(report, case(PGBENCH), &sample)?;
            all.entry((clients, PGBENCH)).or_default().push(sample);
            suite.checkpoint()?;
            let sample = alone(suite, report, case(RELATIONSHIP), &relationship).await?;
            all.entry((clients, RELATIONSHIP)).or_default().push(sample);
            window += 1;
        }
    }
    tell(suite, report, &all, statements::count(&script));
    let disk: f64 = suite.sizes("notification")?.values().sum::<f64>() - disk_before.values().sum::<f64>();
    let bytes = disk / as_f64((suite.accepted() - accepted_before).max(1));
    report.say(&format!("The events of one accept take {} bytes of the notification database.", number(bytes)));
    Ok(())
}

/// The script of what an accept sends, as it stands now.
async fn record(suite: &Suite) -> Result<String> {
    let customers = suite.customers_at_gateway().await?;
    // Statements are prepared by now, as they are in the windows.
    customers.accept(&suite.site, 0).await?;
    suite.site.settle().await?;
    let since = suite.site.postgres.log_statements()?;
    let customer = customers.next();
    customers.accept_as(&suite.site, 0, &customer).await?;
    let log = suite.site.postgres.logged(since)?;
    statements::script(&log, &customer)
}

async fn end_to_end(suite: &Suite, report: &mut Report, case: Case, customers: &Customers) -> Result<Sample> {
    let (site, customers) = (Arc::clone(&suite.site), customers.clone());
    let call = move |place| {
        let (site, customers) = (Arc::clone(&site), customers.clone());
        async move { customers.accept(&site, place).await.map(drop) }
    };
    suite.window(report, case, &PROGRAMS, call).await
}

async fn alone(suite: &Suite, report: &mut Report, case: Case, customers: &Customers) -> Result<Sample> {
    let (site, customers) = (Arc::clone(&suite.site), customers.clone());
    let call = move |place| {
        let (site, customers) = (Arc::clone(&site), customers.clone());
        async move { customers.establish(&site, place).await.map(drop) }
    };
    suite.window(report, case, &PROGRAMS, call).await
}

/// What pgbench does in a window.
///
/// # Errors
/// When a statement fails.
pub(crate) fn driven(suite: &Suite, script: &Script, clients: usize) -> Result<Sample> {
    let before = suite.site.usage("postgres")?;
    let driven = suite.site.postgres.drive(script, clients, suite.plan.window)?;
    let used = suite.site.usage("postgres")? - before;
    let transactions = (driven.rate * suite.plan.window.as_secs_f64().max(1.0)).max(1.0);
    Ok(Sample {
        rate: driven.rate,
        p50_ms: driven.mean_ms,
        cpu_us: BTreeMap::from([("postgres", used / transactions)]),
        ..Sample::default()
    })
}

fn tell(suite: &Suite, report: &mut Report, all: &BTreeMap<(usize, &str), Samples>, statements: usize) {
    let columns = ["clients", "what", "accepts/s", "p50 ms", "p99 ms", "times pgbench", "events delivered after, s"];
    let (mut rates, mut costs) = (Vec::new(), Vec::new());
    for clients in suite.plan.accepting.iter().copied() {
        let of = |case| all.get(&(clients, case)).cloned().unwrap_or_default();
        let pgbench = of(PGBENCH);
        for case in [END_TO_END, RELATIONSHIP] {
            let samples = of(case);
            rates.push(vec![
                clients.to_string(),
                case.to_owned(),
                number(samples.rate()),
                number(samples.median(|sample| sample.p50_ms)),
                number(samples.median(|sample| sample.p99_ms)),
                times(samples.rate(), pgbench.rate()),
                number(samples.median(|sample| sample.settle_s)),
            ]);
            let mut cost = vec![clients.to_string(), case.to_owned()];
            cost.extend(PROGRAMS.map(|program| number(samples.cpu_us(program))));
            costs.push(cost);
        }
        let mean = number(pgbench.median(|sample| sample.p50_ms));
        rates.push(vec![
            clients.to_string(),
            "pgbench, the same statements".to_owned(),
            number(pgbench.rate()),
            format!("{mean} (mean)"),
            "–".to_owned(),
            "1".to_owned(),
            "–".to_owned(),
        ]);
        let mut cost = vec![clients.to_string(), PGBENCH.to_owned()];
        cost.extend(["–", "–", "–", "–"].map(str::to_owned));
        cost.extend([number(pgbench.cpu_us("postgres")), "–".to_owned()]);
        costs.push(cost);
    }
    report.table(&format!("Accepts; pgbench sends {statements} statements for each"), &columns, &rates);
    let mut columns = vec!["clients", "what"];
    columns.extend(PROGRAMS);
    report.table("Accepts: processor time for each, in µs", &columns, &costs);
}
