//! The page in the protobuf format and in the text formats.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tower_prometheus::collect::{HistogramSample, Samples};
use tower_prometheus::snapshot::{Snapshot, Value};
use tower_prometheus::{NativeHistogram, Registry};

use crate::messages::{Histogram, LabelPair, Metric, MetricFamily};
use crate::{PROMETHEUS_2, PROMETHEUS_3, families, scrape};

fn native() -> Registry {
    Registry::builder().native_histograms(1.1).build().unwrap()
}

fn record(registry: &Registry, values: &[f64]) {
    metrics::with_local_recorder(registry, || {
        let histogram = metrics::histogram!("latency_seconds", "kind" => "read");
        values.iter().for_each(|value| histogram.record(*value));
    });
}

pub fn find<'a>(families: &'a [MetricFamily], name: &str) -> &'a MetricFamily {
    let found = families.iter().find(|family| family.name() == name);
    found.unwrap_or_else(|| panic!("{name} is missing"))
}

fn histogram<'a>(families: &'a [MetricFamily], name: &str) -> &'a Histogram {
    find(families, name).metric[0].histogram.as_ref().unwrap()
}

#[tokio::test]
async fn histogram_has_classic_and_native_buckets() {
    let registry = native();
    record(&registry, &[0.001, 0.3, 0.3, 20.0, 0.0, -1.0]);
    let families = families(&registry, PROMETHEUS_2).await;
    let family = find(&families, "latency_seconds");
    assert_eq!(family.kind, Some(4));
    let label = |name: &str, value: &str| LabelPair {
        name: Some(name.to_owned()),
        value: Some(value.to_owned()),
    };
    assert_eq!(family.metric[0].label, [label("kind", "read")]);
    let histogram = histogram(&families, "latency_seconds");
    assert_eq!(histogram.sample_count, Some(6));
    assert_eq!(histogram.bucket_total(), 6);
    assert_eq!(histogram.zero_count, Some(1));
    assert_eq!(histogram.schema, Some(3));
    // Bucket 8 ends at 2, with 8 buckets in each octave: 1 is the bound of bucket 0, and 0.3 is in bucket -13.
    let positive = Histogram::buckets(&histogram.positive_span, &histogram.positive_delta);
    assert!(positive.contains(&(-13, 2)), "{positive:?}");
    let negative = Histogram::buckets(&histogram.negative_span, &histogram.negative_delta);
    assert_eq!(negative, [(0, 1)]);
    let classic: Vec<_> = histogram
        .bucket
        .iter()
        .map(|b| (b.upper_bound(), b.cumulative_count()))
        .collect();
    assert_eq!(classic.len(), 11);
    assert_eq!((classic[0], classic[10]), ((0.005, 3), (10.0, 5)));
}

#[tokio::test]
async fn all_kinds_are_exported() {
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || {
        metrics::describe_counter!("orders_total", "Orders.");
        metrics::counter!("orders_total").increment(3);
        metrics::gauge!("temperature").set(-2.5);
        metrics::histogram!("latency_seconds").record(0.3);
    });
    let collector = |samples: &mut Samples| {
        samples.counter("hits", "").value(7_u64);
        samples.info("build_info", "Build.", &[("version", "1 \"x\"\n")]);
        samples.histogram("waits_seconds", "Waits.").sample(
            &[],
            HistogramSample::cumulative([(0.1, 3), (1.0, 8)], 9, 4.5),
        );
        Ok(())
    };
    registry.collector("library", collector).unwrap();
    let families = families(&registry, PROMETHEUS_2).await;
    let metric = |name| -> &Metric { &find(&families, name).metric[0] };
    assert_eq!(find(&families, "orders_total").help(), "Orders.");
    assert_eq!(find(&families, "orders_total").kind, Some(0));
    assert_eq!(
        metric("orders_total").counter.as_ref().unwrap().value,
        Some(3.0)
    );
    assert_eq!(metric("hits").counter.as_ref().unwrap().value, Some(7.0));
    assert_eq!(
        metric("temperature").gauge.as_ref().unwrap().value,
        Some(-2.5)
    );
    assert_eq!(
        metric("build_info").gauge.as_ref().unwrap().value,
        Some(1.0)
    );
    assert_eq!(metric("build_info").label[0].value(), "1 \"x\"\n");
    let waits = histogram(&families, "waits_seconds");
    assert_eq!((waits.sample_count, waits.sample_sum), (Some(9), Some(4.5)));
    assert_eq!(waits.bucket.len(), 2);
    // Without native buckets, there is no schema: Prometheus takes such a histogram as a classic one.
    assert_eq!(waits.schema, None);
    assert_eq!(histogram(&families, "latency_seconds").schema, None);
}

#[tokio::test]
async fn more_buckets_than_the_limit_halve_the_resolution_and_lose_nothing() {
    let settings = NativeHistogram::new(1.1).max_buckets(20);
    let registry = Registry::builder()
        .native_histograms(settings)
        .build()
        .unwrap();
    let read =
        || async { histogram(&families(&registry, PROMETHEUS_2).await, "latency_seconds").clone() };
    let mut before = (3, 0);
    for round in 1..=40_i32 {
        record(&registry, &[1.5_f64.powi(round), 1.5_f64.powi(-round)]);
        let histogram = read().await;
        assert_eq!(histogram.bucket_total(), round as u64 * 2);
        assert!(histogram.schema() <= before.0);
        let positive = Histogram::buckets(&histogram.positive_span, &histogram.positive_delta);
        assert!(positive.len() <= 20);
        before = (histogram.schema(), histogram.bucket_total());
    }
    assert!(before.0 < 3);
}

#[tokio::test]
async fn without_classic_buckets_the_text_formats_have_only_infinity() {
    let settings = NativeHistogram::new(1.1).without_classic_buckets();
    let registry = Registry::builder()
        .native_histograms(settings)
        .build()
        .unwrap();
    record(&registry, &[0.5, 2.0]);
    assert_eq!(
        registry.render(),
        "# TYPE latency_seconds histogram\n\
         latency_seconds_bucket{kind=\"read\",le=\"+Inf\"} 2\n\
         latency_seconds_sum{kind=\"read\"} 2.5\n\
         latency_seconds_count{kind=\"read\"} 2\n"
    );
    assert_eq!(registry.sum("latency_seconds_count", &[]), Some(2.0));
    let families = families(&registry, PROMETHEUS_3).await;
    assert!(histogram(&families, "latency_seconds").bucket.is_empty());
}

/// Classic and native buckets are counted one after the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn count_equals_the_last_bucket_while_values_are_recorded() {
    let library = native();
    let registry = Registry::new();
    registry.collector("library", library.clone()).unwrap();
    let is_done = Arc::new(AtomicBool::new(false));
    let recording = std::thread::spawn({
        let is_done = Arc::clone(&is_done);
        move || {
            while !is_done.load(Ordering::Relaxed) {
                record(&library, &[0.5; 100]);
            }
        }
    });
    for _ in 0..300 {
        let snapshot = registry.gather().await;
        let success = value_of(&snapshot, "scrape_collector_success");
        assert!(matches!(success, Some(Value::Gauge(value)) if value.as_f64() == 1.0));
        if let Some(Value::Histogram(histogram)) = value_of(&snapshot, "latency_seconds") {
            let last = histogram.buckets().last().unwrap();
            assert_eq!(histogram.count(), last.cumulative_count);
        }
    }
    is_done.store(true, Ordering::Relaxed);
    recording.join().unwrap();
}

/// The value of the first series of a metric.
fn value_of<'a>(snapshot: &'a Snapshot, name: &str) -> Option<Value<'a>> {
    let family = snapshot.families().find(|family| family.name() == name)?;
    Some(family.series().next()?.value())
}

#[tokio::test]
async fn unknown_protobuf_is_answered_with_text() {
    let registry = native();
    record(&registry, &[0.5]);
    for accept in [
        "application/vnd.google.protobuf",
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text",
        "application/vnd.google.protobuf;proto=other.Message;encoding=delimited",
    ] {
        let page = scrape(&registry, accept).await;
        assert_eq!(
            page.headers()["content-type"],
            "text/plain; version=0.0.4; charset=utf-8",
            "{accept}"
        );
    }
}

#[test]
fn wrong_settings_are_one_clear_error() {
    for (settings, expected) in [
        (
            NativeHistogram::new(1.0),
            "native_histograms: growth factor 1 of native histograms: it must be a number greater than 1, such as 1.1",
        ),
        (
            NativeHistogram::new(f64::NAN),
            "native_histograms: growth factor NaN of native histograms: it must be a number greater than 1, such as 1.1",
        ),
        (
            NativeHistogram::new(1.1).max_buckets(0),
            "native_histograms: max_buckets 0 of native histograms: at least 1 is needed, 160 are customary",
        ),
    ] {
        let error = Registry::builder()
            .native_histograms(settings)
            .build()
            .unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn infinity_is_counted_and_not_summed_and_nan_is_ignored() {
    let settings = NativeHistogram::new(1.1).without_classic_buckets();
    let registry = Registry::builder()
        .native_histograms(settings)
        .build()
        .unwrap();
    record(
        &registry,
        &[f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1.0],
    );
    assert_eq!(registry.sum("latency_seconds_count", &[]), Some(3.0));
    assert_eq!(registry.sum("latency_seconds_sum", &[]), Some(1.0));
}

#[tokio::test]
async fn names_are_in_the_escaping_scheme_of_the_scraper() {
    let registry = Registry::builder().utf8_names().build().unwrap();
    metrics::with_local_recorder(&registry, || {
        metrics::histogram!("wait.seconds", "a_b" => "1", "queue.name" => "a\"b").record(0.2);
    });
    for (accept, metric, label) in [
        (PROMETHEUS_2, "wait_seconds", "queue_name"),
        (PROMETHEUS_3, "wait.seconds", "queue.name"),
    ] {
        let families = families(&registry, accept).await;
        let labels = &find(&families, metric).metric[0].label;
        let labels: Vec<_> = labels
            .iter()
            .map(|pair| (pair.name(), pair.value()))
            .collect();
        assert_eq!(labels, [("a_b", "1"), (label, "a\"b")]);
    }
}
