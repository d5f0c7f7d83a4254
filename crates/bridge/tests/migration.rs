//! A service with 30 counters, 10 histograms and a custom collector of the crate `prometheus` moves in steps. After each
//! step there is one page with the values of the first.

use std::collections::BTreeMap;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Gauge, LabelPair, Metric, MetricFamily, MetricType, Quantile, Summary};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, TEXT_FORMAT, TextEncoder};
use test_support::page::{assert_valid_open_metrics, assert_valid_text};
use test_support::scrape::{collector_succeeded, scrape_open_metrics, scrape_text};
use test_support::server::Server;
use test_support::skip_without;
use test_support::snapshot::page_samples;
use test_support::store::{Store, assert_promtool_accepts};
use tower_prometheus::Registry;
use tower_prometheus::collect::{CollectError, Samples, SummarySample};
use tower_prometheus_bridge::from_prometheus;

const COUNTERS: u32 = 30;
const HISTOGRAMS: u32 = 10;
const KINDS: [&str; 2] = ["book", "map \"1\"\\"];
const STATES: [(&str, f64); 2] = [("waiting", 12.0), ("running", -0.5)];

/// How much of the service has moved.
#[derive(Clone, Copy, Debug)]
struct Step {
    counters: u32,
    histograms: u32,
    collector: bool,
}

/// The steps after the one in which nothing has moved and the page is that of `prometheus`.
const STEPS: [Step; 5] = [
    Step {
        counters: 0,
        histograms: 0,
        collector: false,
    },
    Step {
        counters: 13,
        histograms: 0,
        collector: false,
    },
    Step {
        counters: COUNTERS,
        histograms: 3,
        collector: false,
    },
    Step {
        counters: COUNTERS,
        histograms: HISTOGRAMS,
        collector: false,
    },
    Step {
        counters: COUNTERS,
        histograms: HISTOGRAMS,
        collector: true,
    },
];

/// The name of a counter; that of every third does not end in `_total`.
fn counter_name(i: u32) -> String {
    format!(
        "shop_events_{i}{}",
        if i.is_multiple_of(3) { "" } else { "_total" }
    )
}

fn histogram_name(i: u32) -> String {
    format!("shop_task_{i}_seconds")
}

fn bounds(i: u32) -> Vec<f64> {
    let i = f64::from(i);
    vec![0.001 * (i + 1.0), 0.1, 1.0, 2.5 + i]
}

/// What the service counts, by kind.
fn events(i: u32) -> [(&'static str, u64); 2] {
    [(KINDS[0], u64::from(i) * 7), (KINDS[1], 1)]
}

fn observations(i: u32) -> impl Iterator<Item = f64> {
    (0..20 + i).map(|n| f64::from(n) * 0.15)
}

/// The part of the service that has not moved.
fn not_moved(step: Step) -> prometheus::Registry {
    let registry = prometheus::Registry::new();
    for i in step.counters..COUNTERS {
        let opts = Opts::new(counter_name(i), format!("Events {i}."));
        let counter = IntCounterVec::new(opts, &["kind"]).unwrap();
        for (kind, count) in events(i) {
            counter.with_label_values(&[kind]).inc_by(count);
        }
        registry.register(Box::new(counter)).unwrap();
    }
    for i in step.histograms..HISTOGRAMS {
        let opts = HistogramOpts::new(histogram_name(i), format!("Duration of task {i}."));
        let histogram = HistogramVec::new(opts.buckets(bounds(i)), &["kind"]).unwrap();
        observations(i).for_each(|x| histogram.with_label_values(&[KINDS[0]]).observe(x));
        registry.register(Box::new(histogram)).unwrap();
    }
    if !step.collector {
        registry.register(Box::new(Queue)).unwrap();
    }
    registry
}

/// The custom collector: a gauge and a summary.
struct Queue;

impl Collector for Queue {
    fn desc(&self) -> Vec<&Desc> {
        Vec::new()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let gauges = STATES.map(|(state, length)| {
            let mut gauge = Gauge::default();
            gauge.set_value(length);
            let mut label = LabelPair::default();
            label.set_name("state".to_owned());
            label.set_value(state.to_owned());
            let mut metric = Metric::from_gauge(gauge);
            metric.set_label(vec![label]);
            metric
        });
        let mut median = Quantile::default();
        median.set_quantile(0.5);
        median.set_value(0.004);
        let mut summary = Summary::default();
        summary.set_quantile(vec![median]);
        summary.set_sample_count(1017);
        summary.set_sample_sum(9.25);
        let mut metric = Metric::default();
        metric.set_summary(summary);
        let family = |name: &str, help: &str, kind, metrics| {
            let mut family = MetricFamily::default();
            family.set_name(name.to_owned());
            family.set_help(help.to_owned());
            family.set_field_type(kind);
            family.set_metric(metrics);
            family
        };
        let (length, waits) = ("shop_queue_length", "shop_queue_wait_seconds");
        vec![
            family(
                length,
                "Length of the queue.",
                MetricType::GAUGE,
                gauges.into(),
            ),
            family(
                waits,
                "Waits in the queue.",
                MetricType::SUMMARY,
                vec![metric],
            ),
        ]
    }
}

/// The collector after it has moved.
#[expect(clippy::unnecessary_wraps, reason = "the form of a collector")]
fn queue(samples: &mut Samples) -> Result<(), CollectError> {
    let mut length = samples.gauge("shop_queue_length", "Length of the queue.");
    for (state, value) in STATES {
        length.sample(&[("state", state)], value);
    }
    let waits = SummarySample::new([(0.5, 0.004)], 1017, 9.25);
    samples
        .summary("shop_queue_wait_seconds", "Waits in the queue.")
        .value(waits);
    Ok(())
}

/// The service after a step.
fn service(step: Step) -> Registry {
    let mut builder = Registry::builder();
    for i in 0..step.histograms {
        builder = builder.buckets_for(histogram_name(i), bounds(i));
    }
    let registry = builder.build().unwrap();
    metrics::with_local_recorder(&registry, || {
        for i in 0..step.counters {
            metrics::describe_counter!(counter_name(i), format!("Events {i}."));
            for (kind, count) in events(i) {
                metrics::counter!(counter_name(i), "kind" => kind).increment(count);
            }
        }
        for i in 0..step.histograms {
            let name = histogram_name(i);
            metrics::describe_histogram!(name.clone(), format!("Duration of task {i}."));
            observations(i).for_each(|x| {
                metrics::histogram!(name.clone(), "kind" => KINDS[0]).record(x);
            });
        }
    });
    registry
        .collector("legacy", from_prometheus(not_moved(step)))
        .unwrap();
    if step.collector {
        registry.collector("queue", queue).unwrap();
    }
    registry
}

/// The page before the first step.
fn first_page() -> String {
    let families = not_moved(STEPS[0]).gather();
    TextEncoder::new().encode_to_string(&families).unwrap()
}

/// The HELP and TYPE lines, sorted, without those about collectors.
fn metadata(page: &str) -> Vec<&str> {
    let lines = page.lines().filter(|line| line.starts_with("# "));
    let mut lines: Vec<_> = lines
        .filter(|line| !line.contains("scrape_collector"))
        .collect();
    lines.sort_unstable();
    lines
}

#[tokio::test]
async fn each_step_keeps_values_types_and_help() {
    let first = first_page();
    assert_valid_text(&first);
    for step in STEPS {
        let registry = service(step);
        let page = scrape_text(&registry.handler()).await;
        assert!(collector_succeeded(&page, "legacy"), "{step:?}\n{page}");
        assert_eq!(metadata(&page), metadata(&first), "{step:?}");
        let mut samples = page_samples(&page);
        samples.retain(|(name, _), _| !name.starts_with("scrape_collector"));
        assert_eq!(samples, page_samples(&first), "{step:?}");
        assert_valid_open_metrics(&scrape_open_metrics(&registry.handler()).await);
    }
}

#[tokio::test]
async fn promtool_accepts_the_page_of_each_step() {
    skip_without!(Promtool);
    for step in STEPS {
        let page = scrape_text(&service(step).handler()).await;
        // promtool reports counters without `_total` and metrics that have always been so.
        let lines = page.lines().filter(|line| !line.contains("shop_events_"));
        assert_promtool_accepts(&lines.map(|line| format!("{line}\n")).collect::<String>());
    }
}

/// What Prometheus has of a job: the labels and the value of each series.
fn stored(prometheus: &Store, job: &str) -> BTreeMap<BTreeMap<String, String>, f64> {
    let series = prometheus
        .query(&format!("{{job=\"{job}\"}}"), None)
        .into_iter();
    let own = series.filter(|(labels, _)| labels["__name__"].starts_with("shop_"));
    let unified = own.map(|(mut labels, value)| {
        labels.remove("job");
        labels.remove("instance");
        // Prometheus 2 stores `le="1"` of the text format and `le="1.0"` of OpenMetrics as they are.
        for label in ["le", "quantile"] {
            if let Some(number) = labels.get_mut(label) {
                *number = format!("{:?}", number.parse::<f64>().unwrap());
            }
        }
        (labels, value)
    });
    unified.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_reads_equal_values_after_each_step() {
    skip_without!(Curl, Prometheus);
    let first = || async { ([(CONTENT_TYPE, TEXT_FORMAT)], first_page()) };
    let mut servers = vec![Server::start(Router::new().route("/metrics", get(first))).await];
    for step in STEPS {
        let page = Router::new().route_service("/metrics", service(step).handler());
        servers.push(Server::start(page).await);
    }
    let mut config = "global: { scrape_interval: 1s }\nscrape_configs:\n".to_owned();
    for (i, server) in servers.iter().enumerate() {
        let address = server.address;
        config +=
            &format!("  - job_name: step{i}\n    static_configs: [{{ targets: ['{address}'] }}]\n");
    }
    let prometheus = Store::prometheus(&config, &[]);
    let scraped = format!("sum(up) == {}", servers.len());
    prometheus.wait_for_values(&scraped);
    let expected = stored(&prometheus, "step0");
    // 2 series of each counter, 4 bounds, +Inf, sum and count of each histogram, 2 gauges, and a summary of 3 series.
    assert_eq!(expected.len(), 30 * 2 + 10 * 7 + 2 + 3);
    for (i, step) in STEPS.iter().enumerate() {
        assert_eq!(
            stored(&prometheus, &format!("step{}", i + 1)),
            expected,
            "{step:?}"
        );
    }
}
