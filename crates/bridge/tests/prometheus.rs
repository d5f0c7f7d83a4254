//! [`from_prometheus`]: the page has the metrics of the other registry as its own encoder writes them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use prometheus::core::{Collector, Desc};
use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType, Quantile, Summary};
use prometheus::{
    Counter, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, Opts, TextEncoder,
};
use proptest::prelude::*;
use test_support::scrape::{collector_succeeded, scrape_open_metrics, scrape_text};
use test_support::snapshot::{SampleId, page_samples};
use test_support::warnings::Warnings;
use tower_prometheus::Registry;
use tower_prometheus::collect::Blocking;
use tower_prometheus_bridge::from_prometheus;

/// A collector with the families that a function returns.
struct Families(fn() -> Vec<MetricFamily>);

impl Collector for Families {
    fn desc(&self) -> Vec<&Desc> {
        Vec::new()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.0()
    }
}

fn family(name: &str, kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(format!("Help of {name}."));
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

fn summary() -> MetricFamily {
    let mut quantiles = Vec::new();
    for (quantile, value) in [(0.5, 0.004), (0.99, 0.12), (1.0, f64::NAN)] {
        let mut q = Quantile::default();
        q.set_quantile(quantile);
        q.set_value(value);
        quantiles.push(q);
    }
    let mut summary = Summary::default();
    summary.set_sample_count(1017);
    summary.set_sample_sum(9.3);
    summary.set_quantile(quantiles);
    let mut label = LabelPair::default();
    label.set_name("db".to_owned());
    label.set_value("main".to_owned());
    let mut metric = Metric::from_label(vec![label]);
    metric.set_summary(summary);
    family("query_seconds", MetricType::SUMMARY, vec![metric])
}

/// A registry with every kind of metric, a prefix and a label.
fn every_kind() -> prometheus::Registry {
    let labels = HashMap::from([("team".to_owned(), "a\"b\\c\nd".to_owned())]);
    let registry = prometheus::Registry::new_custom(Some("shop".to_owned()), Some(labels)).unwrap();
    let add = |collector: Box<dyn Collector>| registry.register(collector).unwrap();

    let orders = Opts::new("orders_total", "Orders, \"all\" of them.\nBy kind: \\.");
    let orders = orders.const_label("region", "eu");
    let orders = IntCounterVec::new(orders, &["kind"]).unwrap();
    orders.with_label_values(&["book"]).inc_by(3);
    orders
        .with_label_values(&["größe \"1\"\\\n"])
        .inc_by(1 << 60);
    add(Box::new(orders));
    let seconds = Counter::new("busy", "A counter without _total.").unwrap();
    seconds.inc_by(0.25);
    add(Box::new(seconds));
    add(Box::new(
        IntCounter::new("zero_total", "Never incremented.").unwrap(),
    ));

    let balance = GaugeVec::new(Opts::new("balance", "Balance."), &["account"]).unwrap();
    for (account, value) in [("a", -1.5), ("b", f64::NAN), ("c", f64::NEG_INFINITY)] {
        balance.with_label_values(&[account]).set(value);
    }
    add(Box::new(balance));
    let depth = IntGauge::new("depth", "Depth.").unwrap();
    depth.set(-7);
    add(Box::new(depth));

    let buckets = vec![1e-7, 0.1, 1.0, 2.5e20];
    let waits = HistogramOpts::new("wait_seconds", "Waits.").buckets(buckets);
    let waits = HistogramVec::new(waits, &["pool"]).unwrap();
    for seconds in [1e-9, 0.05, 0.1, 3.0, 1e21] {
        waits.with_label_values(&["x"]).observe(seconds);
    }
    waits.with_label_values(&["never"]);
    add(Box::new(waits));

    add(Box::new(Families(|| vec![summary()])));
    // Pruned: it has no samples.
    add(Box::new(
        GaugeVec::new(Opts::new("empty", "No series."), &["a"]).unwrap(),
    ));
    registry
}

fn bridged(legacy: prometheus::Registry) -> Registry {
    let registry = Registry::new();
    registry
        .collector("legacy", from_prometheus(legacy))
        .unwrap();
    registry
}

/// The page without the metrics about collectors.
fn without_collectors(page: &str) -> String {
    let lines = page.lines();
    let own = lines.filter(|line| !line.contains("scrape_collector_"));
    own.map(|line| format!("{line}\n")).collect()
}

/// The HELP and TYPE lines.
fn metadata(page: &str) -> BTreeSet<&str> {
    page.lines().filter(|line| line.starts_with("# ")).collect()
}

/// The values; equal numbers are equal texts, also NaN.
fn values(page: &str) -> BTreeMap<SampleId, String> {
    let number = |text: String| format!("{:?}", text.parse::<f64>().unwrap() + 0.0);
    let samples = page_samples(page).into_iter();
    samples.map(|(id, text)| (id, number(text))).collect()
}

/// Asserts that our page equals that of the encoder of `prometheus`.
async fn assert_equal_pages(legacy: prometheus::Registry) {
    let expected = TextEncoder::new()
        .encode_to_string(&legacy.gather())
        .unwrap();
    let page = scrape_text(&bridged(legacy).handler()).await;
    assert!(collector_succeeded(&page, "legacy"), "{page}");
    let page = without_collectors(&page);
    assert_eq!(metadata(&page), metadata(&expected));
    assert_eq!(values(&page), values(&expected));
}

#[tokio::test]
async fn page_equals_that_of_the_other_encoder() {
    assert_equal_pages(every_kind()).await;
}

#[tokio::test]
async fn open_metrics_has_the_same_sample_names() {
    let page = scrape_open_metrics(&bridged(every_kind()).handler()).await;
    for line in [
        "# TYPE shop_orders counter",
        "# TYPE shop_busy unknown",
        "# TYPE shop_depth gauge",
        "# TYPE shop_wait_seconds histogram",
        "# TYPE shop_query_seconds summary",
        "shop_busy{team=\"a\\\"b\\\\c\\nd\"} 0.25",
    ] {
        assert!(page.lines().any(|other| other == line), "{line}\n{page}");
    }
}

#[tokio::test]
async fn constant_labels_of_the_registry_are_added() {
    let legacy = prometheus::Registry::new();
    legacy
        .register(Box::new(Gauge::new("depth", "Depth.").unwrap()))
        .unwrap();
    let registry = Registry::builder().constant_label("service", "shop");
    let registry = registry.build().unwrap();
    registry
        .collector("legacy", from_prometheus(legacy))
        .unwrap();
    let page = scrape_text(&registry.handler()).await;
    assert!(page.contains("\ndepth{service=\"shop\"} 0\n"), "{page}");
}

#[tokio::test]
async fn metrics_registered_later_are_exported() {
    let legacy = prometheus::Registry::new();
    let registry = bridged(legacy.clone());
    assert!(!scrape_text(&registry.handler()).await.contains("late"));
    let late = IntCounter::new("late_total", "Late.").unwrap();
    late.inc();
    legacy.register(Box::new(late)).unwrap();
    let page = scrape_text(&registry.handler()).await;
    assert!(page.contains("\nlate_total 1\n"), "{page}");
}

#[tokio::test]
async fn default_registry_can_be_bridged_on_a_separate_thread() {
    prometheus::register_int_counter!("macro_total", "By macro.")
        .unwrap()
        .inc();
    let registry = Registry::new();
    let bridge = Blocking::new(from_prometheus(prometheus::default_registry()));
    registry.collector("default", bridge).unwrap();
    let page = scrape_text(&registry.handler()).await;
    assert!(page.contains("\nmacro_total 1\n"), "{page}");
}

#[tokio::test]
async fn observation_that_is_nan_does_not_remove_the_other_metrics() {
    let legacy = prometheus::Registry::new();
    let waits = HistogramOpts::new("wait_seconds", "Waits.").buckets(vec![1.0]);
    let waits = Histogram::with_opts(waits).unwrap();
    waits.observe(0.5);
    waits.observe(f64::NAN);
    legacy.register(Box::new(waits)).unwrap();
    assert_equal_pages(legacy).await;
}

/// Returns the warnings of a scrape of a bridge that fails.
async fn failure(registry: &Registry) -> String {
    let warnings = Warnings::capture();
    let page = scrape_text(&registry.handler()).await;
    assert!(!collector_succeeded(&page, "legacy"), "{page}");
    warnings.about("legacy").join("\n")
}

#[tokio::test]
async fn untyped_metric_is_refused_by_name() {
    let legacy = prometheus::Registry::new();
    let untyped = || {
        vec![family(
            "mystery",
            MetricType::UNTYPED,
            vec![Metric::default()],
        )]
    };
    legacy.register(Box::new(Families(untyped))).unwrap();
    let reason = failure(&bridged(legacy)).await;
    assert!(reason.contains("metric \"mystery\" is untyped"), "{reason}");
}

#[tokio::test]
async fn metric_of_both_registries_is_refused_with_both_sources() {
    let legacy = prometheus::Registry::new();
    legacy
        .register(Box::new(
            IntCounter::new("orders_total", "Orders.").unwrap(),
        ))
        .unwrap();
    let registry = bridged(legacy);
    metrics::with_local_recorder(&registry, || metrics::counter!("orders_total").increment(1));
    let reason = failure(&registry).await;
    assert!(
        reason.contains("\"orders_total\"") && reason.contains("\"legacy\""),
        "{reason}"
    );
    // The metric of the registry stays.
    let page = scrape_text(&registry.handler()).await;
    assert!(page.contains("\norders_total 1\n"), "{page}");
}

/// So a check of a migration must run the code that records the metric.
#[tokio::test]
async fn metric_of_a_macro_conflicts_from_its_first_use() {
    let legacy = prometheus::Registry::new();
    let orders = IntCounter::new("orders_total", "Orders.").unwrap();
    legacy.register(Box::new(orders)).unwrap();
    let registry = bridged(legacy);
    metrics::with_local_recorder(&registry, || {
        metrics::describe_counter!("orders_total", "Orders.");
    });
    let page = scrape_text(&registry.handler()).await;
    assert!(collector_succeeded(&page, "legacy"), "{page}");
    metrics::with_local_recorder(&registry, || metrics::counter!("orders_total").increment(0));
    let reason = failure(&registry).await;
    assert!(reason.contains("\"orders_total\""), "{reason}");
    // `increment(0)` exports it.
    let page = scrape_text(&registry.handler()).await;
    assert!(page.contains("\norders_total 0\n"), "{page}");
}

/// A metric of a random registry.
#[derive(Clone, Debug)]
enum Recorded {
    Counter(f64),
    Gauge(f64),
    Histogram(Vec<f64>, Vec<f64>),
}

fn recorded() -> impl Strategy<Value = Recorded> {
    let observations = prop::collection::vec(-10.0..10.0, 0..20);
    let bounds = prop::collection::btree_set(-90..90, 1..6);
    prop_oneof![
        prop_oneof![0.0..1e300, Just(f64::INFINITY)].prop_map(Recorded::Counter),
        any::<f64>().prop_map(Recorded::Gauge),
        (bounds, observations).prop_map(|(bounds, observations)| {
            let bounds = bounds.into_iter().map(|bound| f64::from(bound) / 7.0);
            Recorded::Histogram(bounds.collect(), observations)
        }),
    ]
}

fn register(registry: &prometheus::Registry, i: usize, help: &str, label: &str, metric: Recorded) {
    let name = format!("metric_{i}");
    let opts = Opts::new(name.clone(), help).const_label("label", label);
    let collector: Box<dyn Collector> = match metric {
        Recorded::Counter(value) => {
            let counter = Counter::with_opts(opts).unwrap();
            counter.inc_by(value);
            Box::new(counter)
        }
        Recorded::Gauge(value) => {
            let gauge = Gauge::with_opts(opts).unwrap();
            gauge.set(value);
            Box::new(gauge)
        }
        Recorded::Histogram(bounds, observations) => {
            let opts = HistogramOpts::new(name, help).const_label("label", label);
            let histogram = Histogram::with_opts(opts.buckets(bounds)).unwrap();
            observations.iter().for_each(|x| histogram.observe(*x));
            Box::new(histogram)
        }
    };
    registry.register(collector).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn page_of_any_registry_equals_that_of_the_other_encoder(
        metrics in prop::collection::vec(("(\\PC|\n){1,20}", "(\\PC|\n){0,20}", recorded()), 0..8),
    ) {
        let legacy = prometheus::Registry::new();
        for (i, (help, label, metric)) in metrics.into_iter().enumerate() {
            register(&legacy, i, &help, &label, metric);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.unwrap().block_on(assert_equal_pages(legacy));
    }
}
