//! Growth: what becomes of latencies and of the disk while relationships become ten and a hundred times as many.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result, ensure};

use crate::caller::Caller;
use crate::report::{Report, Sample, Samples, grouped, number, times};
use crate::site;
use crate::suite::{Case, Suite};

const WHAT: &str = "growth";
const PROGRAMS: [&str; 2] = ["relationship", "postgres"];
/// What is called, in the order of the table.
const CASES: [&str; 6] = [
    "AcceptInvitation",
    "CheckAccess",
    "ListPartnerCustomers, first page",
    "ListPartnerCustomers, deep page",
    "ListRelationships, first page",
    "ListRelationships, deep page",
];
/// What a list is asked for at a time.
const PAGE: i32 = 50;
/// What is asked for at a time on the way to the deep page.
const STRIDE_OF_PAGES: i32 = 1000;
/// The partner whose customers are listed has every tenth.
const SHARE_OF_PARTNER: u64 = 10;
const STRIDE: u64 = 7919;
/// More than one client can accept in a second.
const CUSTOMERS_PER_SECOND: u64 = 1_000;

/// Who calls.
struct Callers {
    checker: Caller,
    agent: Caller,
}

/// Measures growth.
///
/// # Errors
/// When a call is refused, or an answer is wrong.
pub(crate) async fn measure(suite: &mut Suite, report: &mut Report) -> Result<()> {
    let callers = Callers {
        checker: suite.checker("relationship").await?,
        agent: suite.caller("relationship", site::AGENT).await?,
    };
    let mut all: BTreeMap<(u64, &str), Samples> = BTreeMap::new();
    for relationships in suite.plan.relationships.iter().copied() {
        suite.seed(relationships)?;
        suite.register(CUSTOMERS_PER_SECOND * (suite.plan.window.as_secs().max(1) * 2 * suite.plan.rounds as u64))?;
        suite.checkpoint()?;
        let deep = deep_pages(&callers.agent, relationships).await?;
        for _ in 0..suite.plan.rounds {
            for (place, case) in CASES.into_iter().enumerate() {
                let case = Case { what: WHAT, case, callers: 1 };
                let sample = match place {
                    0 => accepted(suite, report, case).await?,
                    1 => checked(suite, report, case, &callers.checker).await?,
                    _ => listed(suite, report, case, (&callers.agent, &deep)).await?,
                };
                all.entry((relationships, case.case)).or_default().push(sample);
            }
        }
    }
    tell(suite, report, &all);
    tell_of_disk(suite, report)?;
    Ok(())
}

async fn accepted(suite: &Suite, report: &mut Report, case: Case) -> Result<Sample> {
    let (site, customers) = (Arc::clone(&suite.site), suite.customers_at_gateway().await?);
    let call = move |place| {
        let (site, customers) = (Arc::clone(&site), customers.clone());
        async move { customers.accept(&site, place).await.map(drop) }
    };
    suite.window(report, case, &PROGRAMS, call).await
}

async fn checked(suite: &Suite, report: &mut Report, case: Case, caller: &Caller) -> Result<Sample> {
    let (caller, relationships, counter) = (caller.clone(), suite.seeded(), Arc::new(AtomicU64::new(0)));
    let call = move |place| {
        let caller = caller.clone();
        let number = counter.fetch_add(STRIDE, Ordering::Relaxed) % relationships + 1;
        async move {
            ensure!(caller.check(place, number, None).await?, "relationship {number} grants nothing");
            Ok(())
        }
    };
    suite.window(report, case, &PROGRAMS, call).await
}

/// Tokens of pages far into the lists.
struct Deep {
    customers: String,
    relationships: String,
}

/// Goes through nine tenths of both lists of the partner with the most customers.
async fn deep_pages(agent: &Caller, relationships: u64) -> Result<Deep> {
    let enough = usize::try_from(relationships / SHARE_OF_PARTNER)? * 9 / 10;
    let mut deep = Deep { customers: String::new(), relationships: String::new() };
    // Small lists are gone through in steps that do not lead beyond their end.
    let step = STRIDE_OF_PAGES.min(i32::try_from(enough)?.max(2) / 2);
    let mut seen = 0;
    while seen < enough {
        let (rows, next) = agent.customers(0, step, &deep.customers).await?;
        ensure!(!next.is_empty(), "the list of customers ends after {seen}");
        (seen, deep.customers) = (seen + rows, next);
    }
    seen = 0;
    while seen < enough {
        let (rows, next) = agent.relationships(0, step, &deep.relationships).await?;
        ensure!(!next.is_empty(), "the list of relationships ends after {seen}");
        (seen, deep.relationships) = (seen + rows, next);
    }
    Ok(deep)
}

async fn listed(suite: &Suite, report: &mut Report, case: Case, from: (&Caller, &Deep)) -> Result<Sample> {
    let (agent, deep) = from;
    let of_customers = case.case.starts_with("ListPartnerCustomers");
    let token = match (case.case.ends_with("deep page"), of_customers) {
        (false, _) => String::new(),
        (true, true) => deep.customers.clone(),
        (true, false) => deep.relationships.clone(),
    };
    let (agent, token): (Caller, Arc<str>) = (agent.clone(), token.into());
    let call = move |place| {
        let (agent, token) = (agent.clone(), Arc::clone(&token));
        async move {
            let (rows, _) = if of_customers {
                agent.customers(place, PAGE, &token).await?
            } else {
                agent.relationships(place, PAGE, &token).await?
            };
            ensure!(rows > 0, "a page is empty");
            Ok(())
        }
    };
    suite.window(report, case, &PROGRAMS, call).await
}

fn tell(suite: &Suite, report: &mut Report, all: &BTreeMap<(u64, &str), Samples>) {
    let sizes = suite.plan.relationships;
    let mut columns = vec!["one caller".to_owned()];
    columns.extend(sizes.iter().flat_map(|size| {
        let size = grouped(*size);
        [format!("{size}: p50 ms"), "p99 ms".to_owned(), "CPU µs".to_owned()]
    }));
    columns.extend(["p50, last to first", "CPU, last to first"].map(str::to_owned));
    let mut rows = Vec::new();
    for case in CASES {
        let of = |size: Option<&u64>| size.and_then(|size| all.get(&(*size, case))).cloned().unwrap_or_default();
        let p50 = |samples: &Samples| samples.median(|sample| sample.p50_ms);
        // Of the service and of its database: what a longer index costs is paid there.
        let cpu = |samples: &Samples| PROGRAMS.iter().map(|program| samples.cpu_us(program)).sum::<f64>();
        let mut row = vec![case.to_owned()];
        row.extend(sizes.iter().map(|size| of(Some(size))).flat_map(|samples| {
            let p99 = samples.median(|sample| sample.p99_ms);
            [number(p50(&samples)), number(p99), number(cpu(&samples))]
        }));
        let (first, last) = (of(sizes.first()), of(sizes.last()));
        row.extend([times(p50(&last), p50(&first)), times(cpu(&last), cpu(&first))]);
        rows.push(row);
    }
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    report.table("Growth, by the number of relationships", &columns, &rows);
}

fn tell_of_disk(suite: &Suite, report: &mut Report) -> Result<()> {
    let sizes = suite.plan.relationships;
    let mut columns = vec!["table, with its indexes".to_owned()];
    columns.extend(sizes.iter().map(|size| format!("{}: bytes", grouped(*size))));
    let last = sizes.last().and_then(|size| suite.disk.get(size)).context("the disk was measured")?;
    let mut tables: Vec<(&String, &f64)> = last.iter().filter(|(_, bytes)| **bytes >= 1.0).collect();
    tables.sort_by(|one, other| other.1.total_cmp(one.1));
    let of = |size: &u64, table: &str| suite.disk.get(size).and_then(|tables| tables.get(table)).copied();
    let row = |name: &str, bytes: &dyn Fn(&u64) -> f64| {
        let mut row = vec![name.to_owned()];
        row.extend(sizes.iter().map(|size| number(bytes(size))));
        row
    };
    let mut rows: Vec<Vec<String>> =
        tables.iter().map(|(table, _)| row(table, &|size| of(size, table).unwrap_or_default())).collect();
    rows.push(row("all", &|size| suite.disk.get(size).map(|tables| tables.values().sum()).unwrap_or_default()));
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    report.table("Disk for each relationship with two delegations and an agreement", &columns, &rows);
    Ok(())
}
