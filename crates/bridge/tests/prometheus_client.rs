//! [`from_prometheus_client`]: the metrics of the other registry, compared with its own text and with what was recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, RwLock};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::exemplar::{CounterWithExemplar, HistogramWithExemplars};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry as ClientRegistry, Unit};
use proptest::prelude::*;
use test_support::scrape::{collector_succeeded, scrape_open_metrics, scrape_text};
use test_support::snapshot::{SampleId, page_samples};
use test_support::warnings::Warnings;
use tower_prometheus::Registry;
use tower_prometheus::collect::Samples;
use tower_prometheus::model::{MetricKind, Number};
use tower_prometheus::snapshot::{FamilySnapshot, Value};
use tower_prometheus_bridge::{collect_prometheus_client, from_prometheus_client};

type FloatCounter = Counter<f64, AtomicU64>;
type FloatGauge = Gauge<f64, AtomicU64>;
type LabelSet = Vec<(String, String)>;

fn label_set(labels: &[(&str, &str)]) -> LabelSet {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    labels.iter().map(owned).collect()
}

#[derive(Debug)]
struct Restarts;

impl Collector for Restarts {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let counter = ConstCounter::new(42_u64);
        let kind = counter.metric_type();
        counter.encode(encoder.encode_descriptor("restarts", "Restarts.", None, kind)?)
    }
}

/// A registry with every kind of metric, sub-registries, a prefix and labels.
fn every_kind() -> ClientRegistry {
    let team = ("team".into(), "a\"b\\c\nd".into());
    let mut registry = ClientRegistry::with_prefix_and_labels("shop", [team].into_iter());

    let orders = Family::<LabelSet, Counter>::default();
    let kind = |kind| label_set(&[("kind", kind)]);
    orders.get_or_create(&kind("book")).inc_by(3);
    orders
        .get_or_create(&kind("größe \"1\"\\\n,=}"))
        .inc_by((1 << 60) + 1);
    registry.register("orders", "Orders", orders);
    let busy = FloatCounter::default();
    busy.inc_by(0.25);
    registry.register_with_unit("busy", "Busy time", Unit::Seconds, busy);

    let balance = Family::<LabelSet, FloatGauge>::default();
    for (account, value) in [("a", -1.5), ("b", f64::NAN), ("c", f64::NEG_INFINITY)] {
        let account = label_set(&[("account", account)]);
        balance.get_or_create(&account).set(value);
    }
    registry.register("balance", "Balance", balance);
    for (name, unit) in [
        ("battery", Unit::Volts),
        ("distance", Unit::Other("parsecs".to_owned())),
        ("load", Unit::Ratios),
    ] {
        let gauge = FloatGauge::default();
        gauge.set(0.5);
        registry.register_with_unit(name, "Unit", unit, gauge);
    }
    let memory: Gauge = Gauge::default();
    memory.set(-7);
    registry.register_with_unit("memory", "Memory", Unit::Bytes, memory);

    let waits = Family::<LabelSet, Histogram>::new_with_constructor(|| {
        Histogram::new([1e-7, 0.1, 1.0, 2.5e20])
    });
    for seconds in [1e-9, 0.05, 0.1, 3.0, 1e21] {
        let pool = label_set(&[("pool", "x"), ("size", "1")]);
        waits.get_or_create(&pool).observe(seconds);
    }
    drop(waits.get_or_create(&label_set(&[("pool", "never")])));
    registry.register_with_unit("wait", "Waits", Unit::Seconds, waits);
    registry.register("plain", "No labels", Histogram::new([1.0]));

    registry.register(
        "build",
        "Build",
        Info::new(vec![("version", "1.2"), ("os", "linux")]),
    );
    registry.register(
        "bare",
        "No labels of its own",
        Info::new(Vec::<(&str, &str)>::new()),
    );
    registry.register("none", "No series", Family::<LabelSet, Counter>::default());
    registry.register_collector(Box::new(Restarts));

    // The same metric in two sub-registries: its HELP and TYPE are in the text twice.
    for pool in ["a", "b"] {
        let sub = registry.sub_registry_with_label(("pool".into(), pool.into()));
        let size: Gauge = Gauge::default();
        size.set(pool.len() as i64);
        sub.register("size", "Size", size);
    }
    registry
}

fn bridged(legacy: ClientRegistry) -> Registry {
    let registry = Registry::new();
    registry
        .collector("legacy", from_prometheus_client(legacy))
        .unwrap();
    registry
}

/// The page without the metrics about collectors.
fn without_collectors(page: &str) -> String {
    let lines = page.lines();
    let own = lines.filter(|line| !line.contains("scrape_collector_"));
    own.map(|line| format!("{line}\n")).collect()
}

/// The HELP, TYPE and UNIT lines, without those of `none`, which has no series.
fn metadata(page: &str) -> BTreeSet<&str> {
    let lines = page.lines().filter(|line| line.starts_with("# "));
    lines.filter(|line| !line.contains(" shop_none ")).collect()
}

/// The values; equal numbers are equal texts, also NaN.
fn values(page: &str) -> BTreeMap<SampleId, String> {
    let number = |text: String| format!("{:?}", text.parse::<f64>().unwrap() + 0.0);
    let samples = page_samples(page).into_iter();
    samples.map(|(id, text)| (id, number(text))).collect()
}

#[tokio::test]
async fn open_metrics_page_equals_that_of_the_other_encoder() {
    let legacy = Arc::new(every_kind());
    let mut expected = String::new();
    encode(&mut expected, &legacy).unwrap();
    let registry = Registry::new();
    registry
        .collector("legacy", from_prometheus_client(Arc::clone(&legacy)))
        .unwrap();
    let page = scrape_open_metrics(&registry.handler()).await;
    assert!(collector_succeeded(&page, "legacy"), "{page}");
    let page = without_collectors(&page);
    assert_eq!(metadata(&page), metadata(&expected));
    // With labels of the registry, prometheus-client 0.25 writes a comma after them before an empty set.
    assert_eq!(values(&page), values(&expected.replace(",}", "}")));
    // Integers are exact above 2^53.
    assert!(
        page.contains(&format!("}} {}\n", (1_u64 << 60) + 1)),
        "{page}"
    );
}

#[tokio::test]
async fn text_page_has_the_types_and_names() {
    let page = scrape_text(&bridged(every_kind()).handler()).await;
    for line in [
        "# HELP shop_orders_total Orders.",
        "# TYPE shop_orders_total counter",
        "# TYPE shop_build_info gauge",
        "# TYPE shop_wait_seconds histogram",
        "shop_restarts_total{team=\"a\\\"b\\\\c\\nd\"} 42",
    ] {
        assert!(page.lines().any(|other| other == line), "{line}\n{page}");
    }
}

#[tokio::test]
async fn exemplars_are_left_out() {
    let mut legacy = ClientRegistry::default();
    let trace = |id: &str| vec![("trace_id", format!("{id} # {{\"}}"))];
    let orders = CounterWithExemplar::<Vec<(&str, String)>>::default();
    orders.inc_by(3, Some(trace("a")), None);
    legacy.register("orders", "Orders", orders);
    let waits = HistogramWithExemplars::<Vec<(&str, String)>>::new([1.0, 2.0].into_iter());
    waits.observe(1.5, Some(trace("b")), None);
    legacy.register("waits", "Waits", waits);
    let page = scrape_open_metrics(&bridged(legacy).handler()).await;
    assert!(page.contains("\norders_total 3\n"), "{page}");
    assert!(page.contains("\nwaits_bucket{le=\"2.0\"} 1\n"), "{page}");
    assert!(!page.contains("trace_id"), "{page}");
}

#[tokio::test]
async fn registry_behind_a_lock_can_change() {
    let legacy = Arc::new(RwLock::new(ClientRegistry::default()));
    let read = Arc::clone(&legacy);
    let registry = Registry::new();
    let collector = move |samples: &mut Samples| {
        let legacy = read.read().map_err(|_| "the lock is poisoned")?;
        collect_prometheus_client(&legacy, samples)
    };
    registry.collector("legacy", collector).unwrap();
    assert!(!scrape_text(&registry.handler()).await.contains("late"));
    let late: Gauge = Gauge::default();
    legacy.write().unwrap().register("late", "Late", late);
    let page = scrape_text(&registry.handler()).await;
    assert!(page.contains("\nlate 0\n"), "{page}");
}

#[tokio::test]
async fn observation_that_is_nan_does_not_remove_the_other_metrics() {
    let mut legacy = ClientRegistry::default();
    let waits = Histogram::new([1.0]);
    waits.observe(0.5);
    waits.observe(f64::NAN);
    legacy.register("waits", "Waits", waits);
    let page = scrape_text(&bridged(legacy).handler()).await;
    assert!(
        page.contains(
            "waits_bucket{le=\"1\"} 1\nwaits_bucket{le=\"+Inf\"} 2\nwaits_sum NaN\nwaits_count 2\n"
        ),
        "{page}"
    );
}

/// Returns the warnings of a scrape of a bridge that fails.
async fn failure(legacy: ClientRegistry) -> String {
    let warnings = Warnings::capture();
    let page = scrape_text(&bridged(legacy).handler()).await;
    assert!(!collector_succeeded(&page, "legacy"), "{page}");
    warnings.about("legacy").join("\n")
}

#[tokio::test]
async fn metric_registered_twice_with_other_definitions_is_refused_by_name() {
    let gauge = Gauge::<i64>::default;
    let mut help = ClientRegistry::default();
    help.register("size", "Size", gauge());
    help.register("size", "Length", gauge());
    let reason = failure(help).await;
    assert!(
        reason.contains(
            "metric \"size\" is registered twice, as gauge with the HELP text \"Size.\" and as gauge with the HELP text \
             \"Length.\""
        ),
        "{reason}"
    );
    let mut kind = ClientRegistry::default();
    kind.register("size", "Size", gauge());
    kind.register("size", "Size", Counter::<u64>::default());
    let reason = failure(kind).await;
    assert!(
        reason.contains("as gauge") && reason.contains("as counter"),
        "{reason}"
    );
    let mut series = ClientRegistry::default();
    series.register("size", "Size", gauge());
    series.register("size", "Size", gauge());
    let reason = failure(series).await;
    assert!(
        reason.contains("series \"size\" is added twice"),
        "{reason}"
    );
}

/// A metric that encodes itself as a gauge with another type.
#[derive(Debug)]
struct Typed(MetricType);

impl EncodeMetric for Typed {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        encoder.encode_gauge(&1_i64)
    }

    fn metric_type(&self) -> MetricType {
        self.0
    }
}

#[tokio::test]
async fn metric_that_cannot_be_exported_is_refused_by_name() {
    for (kind, reason) in [
        (
            MetricType::Unknown,
            "its type \"unknown\" cannot be exported",
        ),
        (
            MetricType::Counter,
            "expected the sample \"_total\", got \"\"",
        ),
        (
            MetricType::Histogram,
            "expected the sample \"_sum\", got \"\"",
        ),
    ] {
        let mut legacy = ClientRegistry::default();
        legacy.register("mystery", "Mystery", Typed(kind));
        let warning = failure(legacy).await;
        let expected = format!("metric \"mystery\": {reason}");
        assert!(warning.contains(&expected), "{warning}");
    }
}

#[tokio::test]
async fn text_that_cannot_be_read_is_refused_with_its_line() {
    for (name, help, reason) in [
        (
            "size",
            "two\nlines",
            "line 2 of the registry's text \"lines.\"",
        ),
        (
            "my size",
            "Size",
            "line 2 of the registry's text \"# TYPE my size gauge\"",
        ),
    ] {
        let mut legacy = ClientRegistry::default();
        legacy.register(name, help, Gauge::<i64>::default());
        let warning = failure(legacy).await;
        assert!(warning.contains(reason), "{warning}");
    }
}

/// Label values with all characters that are escaped.
const LABEL_VALUE: &str = "(\\PC|\n|\"|\\\\){0,20}";

/// A metric of a random registry.
#[derive(Clone, Debug)]
enum Recorded {
    Counter(u64),
    FloatCounter(f64),
    Gauge(i64),
    FloatGauge(f64),
    Histogram(BTreeSet<i32>, Vec<f64>),
    Info(String),
}

fn recorded() -> impl Strategy<Value = Recorded> {
    let observations = prop::collection::vec(-100.0..100.0, 0..20);
    let bounds = prop::collection::btree_set(-90..90, 0..6);
    prop_oneof![
        any::<u64>().prop_map(Recorded::Counter),
        prop_oneof![0.0..1e300, Just(f64::INFINITY)].prop_map(Recorded::FloatCounter),
        any::<i64>().prop_map(Recorded::Gauge),
        any::<f64>().prop_map(Recorded::FloatGauge),
        (bounds, observations).prop_map(|(b, o)| Recorded::Histogram(b, o)),
        LABEL_VALUE.prop_map(Recorded::Info),
    ]
}

impl Recorded {
    fn register(
        &self,
        registry: &mut ClientRegistry,
        name: String,
        help: String,
        labels: &LabelSet,
    ) {
        match self {
            Self::Counter(n) => {
                let family = Family::<LabelSet, Counter>::default();
                family.get_or_create(labels).inc_by(*n);
                registry.register(name, help, family);
            }
            Self::FloatCounter(x) => {
                let family = Family::<LabelSet, FloatCounter>::default();
                family.get_or_create(labels).inc_by(*x);
                registry.register(name, help, family);
            }
            Self::Gauge(n) => {
                let family = Family::<LabelSet, Gauge>::default();
                family.get_or_create(labels).set(*n);
                registry.register(name, help, family);
            }
            Self::FloatGauge(x) => {
                let family = Family::<LabelSet, FloatGauge>::default();
                family.get_or_create(labels).set(*x);
                registry.register_with_unit(name, help, Unit::Seconds, family);
            }
            Self::Histogram(bounds, observations) => {
                let bounds: Vec<f64> = bounds.iter().map(|bound| f64::from(*bound)).collect();
                let family = Family::<LabelSet, Histogram, _>::new_with_constructor(move || {
                    Histogram::new(bounds.clone())
                });
                let histogram = family.get_or_create(labels);
                observations.iter().for_each(|x| histogram.observe(*x));
                drop(histogram);
                registry.register(name, help, family);
            }
            Self::Info(text) => {
                let info = Info::new(vec![("text".to_owned(), text.clone())]);
                registry.register(name, help, info);
            }
        }
    }

    fn suffix(&self) -> &'static str {
        match self {
            Self::Counter(_) | Self::FloatCounter(_) => "_total",
            Self::FloatGauge(_) => "_seconds",
            Self::Info(_) => "_info",
            Self::Gauge(_) | Self::Histogram(..) => "",
        }
    }

    fn kind(&self) -> MetricKind {
        match self {
            Self::Counter(_) | Self::FloatCounter(_) => MetricKind::Counter,
            Self::Gauge(_) | Self::FloatGauge(_) => MetricKind::Gauge,
            Self::Histogram(..) => MetricKind::Histogram,
            Self::Info(_) => MetricKind::Info,
        }
    }

    /// Asserts the labels and the value of the only series of a family.
    fn assert_exported(&self, family: FamilySnapshot<'_>, labels: LabelSet) {
        assert_eq!(family.kind(), self.kind());
        assert_eq!(family.len(), 1);
        let series = family.series().next().unwrap();
        let labels = match self {
            Self::Info(text) => label_set(&[("text", text)]),
            _ => labels,
        };
        let exported = series.labels();
        let exported: LabelSet = exported
            .map(|(n, v)| (n.to_owned(), v.into_owned()))
            .collect();
        assert_eq!(exported, labels);
        let equal = |x: f64, y: f64| assert_eq!((x + 0.0).to_bits(), (y + 0.0).to_bits());
        match (self, series.value()) {
            (Self::Counter(n), Value::Counter(value)) => assert_eq!(value, Number::Integer(*n)),
            (Self::FloatCounter(x), Value::Counter(value)) => equal(*x, value.as_f64()),
            (Self::Gauge(n), Value::Gauge(value)) => equal(*n as f64, value.as_f64()),
            (Self::FloatGauge(x), Value::Gauge(value)) if x.is_nan() => {
                assert!(value.as_f64().is_nan());
            }
            (Self::FloatGauge(x), Value::Gauge(value)) => equal(*x, value.as_f64()),
            (Self::Info(_), Value::Info) => {}
            (Self::Histogram(bounds, observations), Value::Histogram(histogram)) => {
                let up_to = |bound: f64| observations.iter().filter(|x| **x <= bound).count();
                let bounds = bounds.iter().map(|bound| f64::from(*bound));
                let bounds = bounds.chain([f64::INFINITY]);
                let expected: Vec<_> = bounds.map(|b| (b, up_to(b) as u64)).collect();
                let buckets = histogram.buckets();
                let buckets: Vec<_> = buckets
                    .map(|b| (b.upper_bound, b.cumulative_count))
                    .collect();
                assert_eq!(buckets, expected);
                assert_eq!(histogram.count(), observations.len() as u64);
                equal(
                    histogram.sum(),
                    observations.iter().fold(0.0, |sum, x| sum + x),
                );
            }
            (recorded, value) => panic!("{recorded:?} is exported as {value:?}"),
        }
    }
}

proptest! {
    #[test]
    fn values_of_any_registry_are_exported(
        metrics in prop::collection::vec(("\\PC{0,20}", LABEL_VALUE, any::<bool>(), recorded()), 0..8),
    ) {
        let mut legacy = ClientRegistry::default();
        let labels = |value: &str, has_labels: bool| match has_labels {
            true => label_set(&[("a", "1"), ("b", value)]),
            false => LabelSet::new(),
        };
        for (i, (help, value, has_labels, metric)) in metrics.iter().enumerate() {
            let label_set = labels(value, *has_labels);
            metric.register(&mut legacy, format!("metric_{i}"), help.clone(), &label_set);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let snapshot = runtime.block_on(bridged(legacy).gather());
        for (i, (help, value, has_labels, metric)) in metrics.iter().enumerate() {
            let name = format!("metric_{i}{}", metric.suffix());
            let family = snapshot.family(&name).expect(&name);
            let exported = family.help().unwrap();
            prop_assert_eq!(&*exported, format!("{help}."));
            metric.assert_exported(family, labels(value, *has_labels));
        }
    }
}
