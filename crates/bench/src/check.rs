//! Access checks: against the same call with nothing behind it, against one statement of pgbench, and through the gateway.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, ensure};

use crate::accept::driven;
use crate::caller::Caller;
use crate::database::Script;
use crate::report::{Report, Sample, Samples, number, times};
use crate::suite::{Case, Suite};

const WHAT: &str = "check";
const SCRIPT: &str = include_str!("../sql/check.sql");
const PGBENCH: &str = "pgbench, one statement";
const PROGRAMS: [&str; 6] = ["gateway", "gateway_to_empty", "relationship", "empty", "postgres", "callers"];
/// Prime, so that questions go through all relationships in an order of their own.
const STRIDE: u64 = 7919;

/// A way to ask.
struct Way {
    case: &'static str,
    /// Who is called.
    program: &'static str,
    /// The process that answers.
    server: &'static str,
    with_token: bool,
}

const WAYS: [Way; 5] = [
    Way { case: "empty call", program: "empty", server: "empty", with_token: false },
    Way { case: "CheckAccess", program: "relationship", server: "relationship", with_token: false },
    Way { case: "CheckAccess with a token", program: "relationship", server: "relationship", with_token: true },
    Way { case: "empty call by the gateway", program: "gateway_to_empty", server: "empty", with_token: false },
    Way { case: "CheckAccess by the gateway", program: "gateway", server: "relationship", with_token: false },
];

/// Which gateway stands before each process.
const GATEWAYS: [(&str, &str, &str); 2] = [
    ("empty call", "empty call by the gateway", "gateway_to_empty"),
    ("CheckAccess", "CheckAccess by the gateway", "gateway"),
];

type All = BTreeMap<(usize, &'static str), Samples>;

/// Measures access checks.
///
/// # Errors
/// When a call or a statement is refused, or an answer is wrong.
pub(crate) async fn measure(suite: &Suite, report: &mut Report) -> Result<()> {
    let mut callers = Vec::new();
    for way in WAYS {
        let caller = suite.checker(way.program).await?;
        callers.push((way, caller));
    }
    let mut all = All::new();
    for _ in 0..suite.plan.rounds {
        for in_flight in suite.plan.checking.iter().copied() {
            for (way, caller) in &callers {
                let case = Case { what: WHAT, case: way.case, callers: in_flight };
                let sample = asked(suite, report, case, (way, caller)).await?;
                all.entry((in_flight, way.case)).or_default().push(sample);
            }
            let variables = vec![("relationships", suite.seeded())];
            let script = Script { database: "relationship", text: SCRIPT.to_owned(), variables };
            let sample = driven(suite, &script, in_flight)?;
            suite.note(report, Case { what: WHAT, case: PGBENCH, callers: in_flight }, &sample)?;
            all.entry((in_flight, PGBENCH)).or_default().push(sample);
        }
    }
    tell(suite, report, &all);
    tell_of_gateway(suite, report, &all);
    Ok(())
}

async fn asked(suite: &Suite, report: &mut Report, case: Case, way: (&Way, &Caller)) -> Result<Sample> {
    let (way, caller) = (way.0, way.1.clone());
    let token: Option<Arc<str>> = way.with_token.then(|| suite.token.as_str().into());
    let (relationships, counter, decides) = (suite.seeded(), Arc::new(AtomicU64::new(0)), way.server == "relationship");
    let call = move |place| {
        let (caller, token) = (caller.clone(), token.clone());
        let number = counter.fetch_add(STRIDE, Ordering::Relaxed) % relationships + 1;
        async move {
            let allowed = caller.check(place, number, token.as_deref()).await?;
            ensure!(allowed == decides, "the answer about relationship {number} is wrong");
            Ok(())
        }
    };
    suite.window(report, case, &PROGRAMS, call).await
}

fn tell(suite: &Suite, report: &mut Report, all: &All) {
    let columns = [
        "in flight",
        "what",
        "calls/s",
        "p50 ms",
        "p99 ms",
        "CPU of the service, µs",
        "CPU of PostgreSQL, µs",
        "CPU, times empty",
        "rate, times pgbench",
    ];
    let mut rows = Vec::new();
    for in_flight in suite.plan.checking.iter().copied() {
        let of = |case| all.get(&(in_flight, case)).cloned().unwrap_or_default();
        let (empty, pgbench) = (of("empty call"), of(PGBENCH));
        for way in WAYS.iter().filter(|way| way.program == way.server) {
            let samples = of(way.case);
            rows.push(vec![
                in_flight.to_string(),
                way.case.to_owned(),
                number(samples.rate()),
                number(samples.median(|sample| sample.p50_ms)),
                number(samples.median(|sample| sample.p99_ms)),
                number(samples.cpu_us(way.server)),
                number(samples.cpu_us("postgres")),
                times(samples.cpu_us(way.server), empty.cpu_us("empty")),
                times(samples.rate(), pgbench.rate()),
            ]);
        }
        let mean = number(pgbench.median(|sample| sample.p50_ms));
        rows.push(vec![
            in_flight.to_string(),
            PGBENCH.to_owned(),
            number(pgbench.rate()),
            format!("{mean} (mean)"),
            "–".to_owned(),
            "–".to_owned(),
            number(pgbench.cpu_us("postgres")),
            "–".to_owned(),
            "1".to_owned(),
        ]);
    }
    report.table("Access checks, straight at the service", &columns, &rows);
}

fn tell_of_gateway(suite: &Suite, report: &mut Report, all: &All) {
    let columns = [
        "in flight",
        "what",
        "direct: calls/s",
        "p50 ms",
        "p99 ms",
        "by the gateway: calls/s",
        "p50 ms",
        "p99 ms",
        "rate, times direct",
        "p50, times direct",
        "CPU of the gateway, µs",
        "CPU of the service, µs",
    ];
    let mut rows = Vec::new();
    for in_flight in suite.plan.checking.iter().copied() {
        let of = |case| all.get(&(in_flight, case)).cloned().unwrap_or_default();
        for (direct, forwarded, gateway) in GATEWAYS {
            let server = if gateway == "gateway" { "relationship" } else { "empty" };
            let (one, other) = (of(direct), of(forwarded));
            let p50 = |samples: &Samples| samples.median(|sample| sample.p50_ms);
            let p99 = |samples: &Samples| samples.median(|sample| sample.p99_ms);
            let mut row = vec![in_flight.to_string(), direct.to_owned()];
            row.extend(
                [&one, &other]
                    .into_iter()
                    .flat_map(|samples| [number(samples.rate()), number(p50(samples)), number(p99(samples))]),
            );
            row.push(times(other.rate(), one.rate()));
            row.push(times(p50(&other), p50(&one)));
            row.push(number(other.cpu_us(gateway)));
            row.push(number(one.cpu_us(server)));
            rows.push(row);
        }
    }
    report.table("The gateway against a direct call", &columns, &rows);
}
