//! What is measured, as a collector gets it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use opentelemetry::{KeyValue, global};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{SdkMeterProvider, Temporality};
use store::{Failure, HasFailure, Settings, Tx, Work, on};
use testkit::Database;

use crate::{Note, pool_with};

/// Keeps the value of each measurement by its name and attributes: a sum, or how many a histogram counted.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<BTreeMap<String, i64>>>);

impl PushMetricExporter for Collector {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let mut kept = self.0.lock().unwrap();
        for metric in metrics.scope_metrics().flat_map(|scope| scope.metrics()) {
            let mut keep = |attributes: Vec<&KeyValue>, value: i64| {
                let mut named: Vec<String> =
                    attributes.iter().map(|attribute| format!("{}={}", attribute.key, attribute.value)).collect();
                named.sort();
                kept.insert(format!("{} {}", metric.name(), named.join(" ")), value);
            };
            match metric.data() {
                AggregatedMetrics::F64(MetricData::Histogram(histogram)) => histogram
                    .data_points()
                    .for_each(|point| keep(point.attributes().collect(), i64::try_from(point.count()).unwrap())),
                AggregatedMetrics::U64(MetricData::Sum(sum)) => sum
                    .data_points()
                    .for_each(|point| keep(point.attributes().collect(), i64::try_from(point.value()).unwrap())),
                AggregatedMetrics::I64(MetricData::Sum(sum)) => {
                    sum.data_points().for_each(|point| keep(point.attributes().collect(), point.value()));
                }
                other @ (AggregatedMetrics::F64(_) | AggregatedMetrics::U64(_) | AggregatedMetrics::I64(_)) => {
                    panic!("{} is not expected: {other:?}", metric.name())
                }
            }
        }
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

/// Every measurement of this process up to now. Taken before the first pool is opened, so that instruments are real.
fn collected() -> (SdkMeterProvider, Collector) {
    static ONCE: Mutex<Option<(SdkMeterProvider, Collector)>> = Mutex::new(None);
    let mut once: MutexGuard<'_, _> = ONCE.lock().unwrap();
    once.get_or_insert_with(|| {
        let collector = Collector::default();
        let provider = SdkMeterProvider::builder().with_periodic_exporter(collector.clone()).build();
        global::set_meter_provider(provider.clone());
        (provider, collector)
    })
    .clone()
}

pub(crate) fn start() {
    collected();
}

/// The value of a measurement; 0 when there is none.
pub(crate) fn value(measurement: &str) -> i64 {
    let (provider, collector) = collected();
    provider.force_flush().unwrap();
    collector.0.lock().unwrap().get(measurement).copied().unwrap_or_default()
}

testkit::on_both!(connections_and_transactions_are_counted);

/// Refused by itself.
struct Refusing;

#[derive(Debug)]
struct No;

impl From<Failure> for No {
    fn from(_: Failure) -> No {
        No
    }
}

impl HasFailure for No {
    fn failure(&self) -> Option<&Failure> {
        None
    }
}

impl Work for Refusing {
    const NAME: &'static str = "refusing";
    type Answer = ();
    type Error = No;

    async fn run(&self, _: &mut Tx) -> Result<(), No> {
        Err(No)
    }
}

async fn connections_and_transactions_are_counted(database: Database) {
    let settings = Settings { connections_max: 2, wait_max_ms: 300, ..Settings::new(database.url()) };
    let name = if database.is_postgres() {
        let address = database.url().split('?').next().unwrap();
        address.rsplit('/').next().unwrap().to_owned()
    } else {
        // The file with its folder.
        let file = database.url().trim_end_matches(".db");
        file.rsplit('/').take(2).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("/")
    };
    let pool = pool_with(&settings).await;
    let refused = value("mandate.transaction.duration outcome=refused transaction=refusing");
    store::transaction(&pool, &Refusing).await.unwrap_err();
    let after = value("mandate.transaction.duration outcome=refused transaction=refusing");
    assert!(after > refused, "{after}");
    store::transaction(&pool, &Note::new(1)).await.unwrap();
    assert!(value("mandate.transaction.duration outcome=committed transaction=note") > 0);
    assert!(value(&format!("db.client.connection.wait_time db.client.connection.pool.name={name}")) > 0);
    let held = (store::read(&pool).await.unwrap(), store::read(&pool).await.unwrap());
    let timeouts = format!("db.client.connection.timeouts db.client.connection.pool.name={name}");
    let before = value(&timeouts);
    store::read(&pool).await.unwrap_err();
    assert!(value(&timeouts) > before);
    if database.is_postgres() {
        // Files of tests share a name, and so do their pools.
        let by = |state| {
            format!(
                "db.client.connection.count db.client.connection.pool.name={name} db.client.connection.state={state}"
            )
        };
        assert_eq!((value(&by("used")), value(&by("idle"))), (2, 0));
        assert_eq!(value(&format!("db.client.connection.max db.client.connection.pool.name={name}")), 2);
    }
    drop(held);
}

/// Two of them take two rows in opposite orders.
struct Crossing<'a> {
    first: i64,
    second: i64,
    met: &'a tokio::sync::Barrier,
    tries: std::sync::atomic::AtomicU32,
}

impl Work for Crossing<'_> {
    const NAME: &'static str = "crossing";
    type Answer = ();
    type Error = Failure;

    async fn run(&self, tx: &mut Tx) -> Result<(), Failure> {
        const TOUCH: &str = "UPDATE note SET text = text WHERE id = $1";
        on!(&mut *tx, tx => sqlx::query(TOUCH).bind(self.first).execute(&mut **tx).await?.rows_affected());
        if self.tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0 {
            self.met.wait().await;
        }
        on!(&mut *tx, tx => sqlx::query(TOUCH).bind(self.second).execute(&mut **tx).await?.rows_affected());
        Ok(())
    }
}

#[test]
fn a_deadlock_is_retried_and_counted_as_one() {
    testkit::database::on_postgres(async |database| {
        let pool = pool_with(&Settings::new(database.url())).await;
        for id in [1, 2] {
            store::transaction(&pool, &Note::new(id)).await.unwrap();
        }
        let met = tokio::sync::Barrier::new(2);
        let crossing = |first, second| Crossing { first, second, met: &met, tries: Default::default() };
        let (one, other) = (crossing(1, 2), crossing(2, 1));
        let both = tokio::join!(store::transaction(&pool, &one), store::transaction(&pool, &other));
        both.0.unwrap();
        both.1.unwrap();
        assert!(value("mandate.transaction.retries reason=deadlock transaction=crossing") >= 1);
        assert_eq!(value("mandate.transaction.duration outcome=committed transaction=crossing"), 2);
    });
}
