//! Two registries on one page: a registry is a collector of another one.

use metrics::Unit;
use tower_prometheus::collect::{
    CollectError, Collector, Deadline, HistogramSample, Samples, SummarySample,
};
use tower_prometheus::{MetricsHandler, Registry};

use test_support::page::samples;
use test_support::scrape::{
    collector_succeeded, scrape_open_metrics, scrape_text, scrape_with_timeout,
};
use test_support::snapshot::{page_samples, snapshot_samples};
use test_support::warnings::Warnings;

/// The lines that are not about collectors.
fn own_lines(page: &str) -> Vec<&str> {
    let lines = page.lines();
    lines
        .filter(|line| !line.contains("scrape_collector_"))
        .collect()
}

/// A collector that never returns.
struct Hanging;

impl Collector for Hanging {
    async fn collect(&self, _: Deadline, _: &mut Samples) -> Result<(), CollectError> {
        std::future::pending().await
    }
}

/// Returns a registry that has `other` as its collector `other`.
fn registry_with(other: &Registry) -> Registry {
    let registry = Registry::new();
    registry.collector("other", other.clone()).unwrap();
    registry
}

#[expect(clippy::unnecessary_wraps, reason = "the form of a collector")]
fn every_kind(samples: &mut Samples) -> Result<(), CollectError> {
    samples.counter("db_queries_total", "Queries.").value(7_u64);
    samples
        .gauge("db_size", "Connections \\ \"all\".")
        .value(-1.5);
    let mut waits = samples.histogram("db_wait_seconds", "Waits.");
    waits.unit(Unit::Seconds);
    for (pool, count) in [("a", 9), ("b\"\n\\", 0)] {
        let sample = HistogramSample::cumulative([(0.1, 0), (1.0, 0)], count, 4.5);
        waits.sample(&[("pool", pool)], sample);
    }
    samples.info("db_info", "Database.", &[("version", "17")]);
    samples
        .state_set("db_state", "State.")
        .sample(&[("pool", "a")], &["up", "down"], "up")
        .sample(&[("pool", "b")], &["up", "down"], "down")
        .value(&["up", "down"], "down");
    samples
        .summary("db_query_bytes", "Sizes.")
        .unit(Unit::Bytes)
        .value(SummarySample::new([(0.5, 1.5), (0.9, f64::NAN)], 10, 20.25));
    Ok(())
}

fn record(registry: &Registry) {
    metrics::with_local_recorder(registry, || {
        metrics::describe_counter!("orders_total", "Orders.");
        metrics::counter!("orders_total", "kind" => "book").increment(3);
        metrics::counter!("retries").increment(2);
        metrics::gauge!("depth").set(0.25);
        metrics::describe_histogram!("order_seconds", Unit::Seconds, "Orders.");
        for seconds in [0.01, 2.0, 200.0] {
            metrics::histogram!("order_seconds", "kind" => "book").record(seconds);
        }
    });
}

#[tokio::test]
async fn page_has_the_metrics_of_both_registries_unchanged() {
    let other = Registry::builder().constant_label("tenant", "a");
    let other = other.build().unwrap();
    record(&other);
    other.collector("db", every_kind).unwrap();
    let registry = registry_with(&other);
    let (text, open_metrics) = (
        scrape_text(&registry.handler()).await,
        scrape_open_metrics(&registry.handler()).await,
    );
    assert_eq!(
        own_lines(&text),
        own_lines(&scrape_text(&other.handler()).await)
    );
    let expected = scrape_open_metrics(&other.handler()).await;
    assert_eq!(own_lines(&open_metrics), own_lines(&expected));
    // Its own metrics are added, and it has them in its snapshot.
    metrics::with_local_recorder(&registry, || metrics::counter!("own_total").increment(1));
    let page = scrape_text(&registry.handler()).await;
    assert_eq!(own_lines(&page).len(), own_lines(&text).len() + 2);
    let without_durations = |page| {
        let mut samples = page_samples(page);
        samples.retain(|(name, _), _| name != "scrape_collector_duration_seconds");
        samples
    };
    let mut snapshot = snapshot_samples(&registry.gather().await);
    snapshot.retain(|(name, _), _| name != "scrape_collector_duration_seconds");
    assert_eq!(snapshot, without_durations(&page));
}

#[tokio::test]
async fn constant_labels_of_both_registries_are_added() {
    let other = Registry::builder().constant_label("tenant", "a");
    let other = other.build().unwrap();
    record(&other);
    let registry = Registry::builder().constant_label("service", "shop");
    let registry = registry.build().unwrap();
    registry.collector("other", other).unwrap();
    let page = scrape_text(&registry.handler()).await;
    let series = "orders_total{kind=\"book\",service=\"shop\",tenant=\"a\"}";
    assert_eq!(samples(&page)[series], 3.0);
}

#[tokio::test]
async fn constant_label_can_be_in_both_registries_with_the_same_value() {
    for (value, succeeds) in [("shop", true), ("other", false)] {
        let other = Registry::builder().constant_label("service", value);
        let other = other.build().unwrap();
        record(&other);
        let registry = Registry::builder()
            .constant_label("area", "eu")
            .constant_label("service", "shop");
        let registry = registry.build().unwrap();
        registry.collector("other", other).unwrap();
        let page = scrape_text(&registry.handler()).await;
        assert!(page.contains(
            "\nscrape_collector_success{area=\"eu\",collector=\"other\",service=\"shop\"} "
        ));
        let series = "orders_total{area=\"eu\",kind=\"book\",service=\"shop\"}";
        assert_eq!(samples(&page).contains_key(series), succeeds, "{page}");
    }
}

#[tokio::test]
async fn registries_with_the_same_metrics_share_them_as_collectors_of_a_third() {
    let registry = Registry::new();
    for tenant in ["a", "b"] {
        let other = Registry::builder().constant_label("tenant", tenant);
        let other = other.build().unwrap();
        record(&other);
        registry.collector(tenant, other).unwrap();
    }
    let page = scrape_text(&registry.handler()).await;
    assert_eq!(page.matches("# TYPE orders_total ").count(), 1, "{page}");
    for tenant in ["a", "b"] {
        let series = format!("order_seconds_count{{kind=\"book\",tenant=\"{tenant}\"}}");
        assert_eq!(samples(&page)[&series], 3.0);
    }
}

#[tokio::test]
async fn metric_of_both_registries_is_refused_by_name() {
    let other = Registry::new();
    record(&other);
    let registry = registry_with(&other);
    record(&registry);
    let warnings = Warnings::capture();
    let page = scrape_text(&registry.handler()).await;
    assert!(!collector_succeeded(&page, "other"), "{page}");
    assert_eq!(page.matches("# TYPE orders_total ").count(), 1, "{page}");
    let warnings = warnings.about("collector \"other\"");
    assert!(
        warnings[0].contains("is taken by another metric"),
        "{warnings:?}"
    );
}

#[tokio::test]
async fn collectors_of_the_other_registry_are_named_after_it() {
    let other = Registry::new();
    other.gauge("good", "", || 1_u64).unwrap();
    let failing = |_: &mut Samples| Err("no pool".into());
    other.collector("bad", failing).unwrap();
    let registry = registry_with(&other);
    let page = scrape_text(&registry.handler()).await;
    assert!(page.contains("\ngood 1\n"), "{page}");
    for (collector, succeeds) in [("other", true), ("other/good", true), ("other/bad", false)] {
        assert_eq!(
            collector_succeeded(&page, collector),
            succeeds,
            "{collector}\n{page}"
        );
    }
    // With `fail_on_collect_error`, the failure of a nested collector fails the scrape.
    let handler = MetricsHandler::new(&registry).fail_on_collect_error();
    let (status, reason) = scrape_with_timeout(&handler, 10.0).await;
    assert_eq!(status, 500);
    assert!(
        reason.contains("collector \"other/bad\" failed"),
        "{reason}"
    );
}

#[tokio::test(start_paused = true)]
async fn collector_of_the_other_registry_that_hangs_loses_only_its_own_metrics() {
    let other = Registry::new();
    record(&other);
    other.collector("hanging", Hanging).unwrap();
    let registry = registry_with(&other);
    let (status, page) = scrape_with_timeout(&registry.handler(), 1.0).await;
    assert_eq!(status, 200);
    assert!(page.contains("\norders_total{kind=\"book\"} 3\n"), "{page}");
    assert!(collector_succeeded(&page, "other"));
    assert!(!collector_succeeded(&page, "other/hanging"));
}

#[test]
fn registry_cannot_be_its_own_collector() {
    let registry = Registry::new();
    let error = registry.collector("self", registry.clone()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("\"self\" is the registry itself"),
        "{error}"
    );
}

/// Counts how often a future is polled until it is ready.
async fn count_polls<T>(future: impl Future<Output = T>) -> (T, usize) {
    let mut future = std::pin::pin!(future);
    let mut polls = 0;
    let output = std::future::poll_fn(|cx| {
        polls += 1;
        future.as_mut().poll(cx)
    });
    (output.await, polls)
}

#[tokio::test]
async fn copying_a_large_registry_yields_to_other_tasks() {
    const SERIES: u64 = 10_000;
    let other = Registry::new();
    metrics::with_local_recorder(&other, || {
        for i in 0..SERIES {
            metrics::counter!("many_total", "i" => i.to_string()).increment(i);
        }
    });
    // The first call sorts the new series.
    other.gather().await;
    let (_, polls_alone) = count_polls(other.gather()).await;
    let (snapshot, polls) = count_polls(registry_with(&other).gather()).await;
    assert_eq!(snapshot.family("many_total").unwrap().len(), 10_000);
    // 10,000 series of 500 ns are 5 ms, which are 50 turns of 0.1 ms.
    assert!(
        polls >= polls_alone + 45,
        "{polls} polls, alone {polls_alone}"
    );
}

/// A collector `a/b` has the same name as the collector `b` of a registry `a`.
#[tokio::test]
async fn dropped_series_of_collectors_with_the_same_name_are_added() {
    let limited = || {
        let registry = Registry::builder().max_series_per_collector(1);
        registry.build().unwrap()
    };
    let gauge = |name: &'static str, series: usize| {
        move |samples: &mut Samples| {
            let mut gauge = samples.gauge(name, "");
            for i in 0..series {
                gauge.sample(&[("i", &i.to_string())], 1_u64);
            }
            Ok(())
        }
    };
    let (registry, other) = (limited(), limited());
    other.collector("b", gauge("x", 3)).unwrap();
    registry.collector("a/b", gauge("y", 4)).unwrap();
    registry.collector("a", other).unwrap();
    let page = scrape_text(&registry.handler()).await;
    let dropped = samples(&page)["scrape_collector_dropped_series{collector=\"a/b\"}"];
    assert_eq!(dropped, 2.0 + 3.0, "{page}");
}
