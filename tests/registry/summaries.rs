//! Histograms of macros that are exported as summaries: which rule applies, and which quantiles are exported.

use std::time::Duration;

use tokio::runtime::Builder;
use tower_prometheus::model::MetricKind;
use tower_prometheus::{Histogram, HttpMetrics, Registry, Summary, Unit, catalogue};

use test_support::page::{
    assert_valid_open_metrics, assert_valid_text, render_open_metrics, samples,
};

/// The quantiles of metrics-exporter-prometheus.
const QUANTILES: [f64; 7] = [0.0, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0];

fn kind(registry: &Registry, name: &str) -> MetricKind {
    let runtime = Builder::new_current_thread().build().unwrap();
    let snapshot = runtime.block_on(registry.gather());
    snapshot.family(name).expect(name).kind()
}

fn record(registry: &Registry, names: &[&'static str]) {
    metrics::with_local_recorder(registry, || {
        for name in names {
            metrics::histogram!(*name).record(0.25);
        }
    });
}

#[test]
fn summary_of_a_macro_has_the_chosen_quantiles_in_both_formats() {
    let registry = Registry::builder()
        .quantiles(QUANTILES)
        .constant_label("service", "shop")
        .build()
        .unwrap();
    metrics::with_local_recorder(&registry, || {
        let histogram = metrics::histogram!("db.seconds", "op" => "read");
        (1..=1000).for_each(|i| histogram.record(f64::from(i) / 1000.0));
        histogram.record(f64::NAN);
        // Described after the first observation, and with the macro for histograms.
        metrics::describe_histogram!("db.seconds", Unit::Seconds, "Duration of queries.");
    });
    let (text, open_metrics) = (registry.render(), render_open_metrics(&registry));
    assert_valid_text(&text);
    assert_valid_open_metrics(&open_metrics);
    assert!(text.contains("# HELP db_seconds Duration of queries.\n# TYPE db_seconds summary\n"));
    assert!(
        open_metrics.contains("# UNIT db_seconds seconds\n"),
        "{open_metrics}"
    );

    let shown = samples(&text);
    let value =
        |q: f64| shown[&format!("db_seconds{{op=\"read\",service=\"shop\",quantile=\"{q}\"}}")];
    assert_eq!((value(0.0), value(1.0)), (0.001, 1.0), "exact");
    for q in [0.5, 0.9, 0.95, 0.99, 0.999] {
        assert!((value(q) / q - 1.0).abs() <= 0.011, "{q}: {}", value(q));
        let labels = [("op", "read"), ("quantile", &*q.to_string())];
        assert_eq!(registry.sum("db_seconds", &labels), Some(value(q)));
    }
    assert_eq!(
        shown["db_seconds_count{op=\"read\",service=\"shop\"}"],
        1000.0
    );
    assert_eq!(shown.len(), QUANTILES.len() + 2);
    // OpenMetrics requires canonical numbers.
    for label in ["quantile=\"0.0\"", "quantile=\"0.999\"", "quantile=\"1.0\""] {
        assert!(open_metrics.contains(label), "{open_metrics}");
    }
}

#[test]
fn the_rule_that_matches_most_closely_decides_between_histogram_and_summary() {
    let registry = Registry::builder()
        .quantiles([0.5])
        .buckets([1.0])
        .buckets_for_unit(Unit::Bytes, [1024.0])
        .buckets_for_suffix("_seconds", [1.0])
        .quantiles_for_suffix("_query_seconds", [0.5])
        .buckets_for_prefix("db.", [1.0])
        .quantiles_for_prefix("db.query.", [0.5])
        .buckets_for("db.query.rows", [1.0])
        .quantiles_for("db.rows", [0.5])
        .build()
        .unwrap();
    let expected = [
        ("other", MetricKind::Summary),
        ("body_bytes", MetricKind::Histogram),
        ("wait_seconds", MetricKind::Histogram),
        ("cache_query_seconds", MetricKind::Summary),
        ("db_query_seconds", MetricKind::Summary),
        ("db_open_query_seconds", MetricKind::Histogram),
        ("db_query_rows", MetricKind::Histogram),
        ("db_rows", MetricKind::Summary),
    ];
    record(&registry, &expected.map(|(name, _)| name));
    for (name, expected) in expected {
        assert_eq!(kind(&registry, name), expected, "{name}");
    }
    // Without a rule for quantiles, histograms stay histograms.
    let registry = Registry::builder()
        .quantiles_for("a", [0.5])
        .build()
        .unwrap();
    record(&registry, &["a", "b"]);
    assert_eq!(kind(&registry, "a"), MetricKind::Summary);
    assert_eq!(kind(&registry, "b"), MetricKind::Histogram);
}

catalogue! {
    struct Shop {
        /// Duration of orders in seconds.
        order_seconds: Histogram,
        /// Duration of payments in seconds.
        payment_seconds: Summary,
    }
}

#[test]
fn quantiles_apply_to_summaries_of_catalogues_but_not_to_defined_histograms() {
    let registry = Registry::builder().quantiles([0.0, 0.25]).build().unwrap();
    let shop = Shop::on(&registry).unwrap();
    shop.payment_seconds.observe(3.0);
    shop.order_seconds.observe(3.0);
    let _layer = HttpMetrics::server()
        .preregister(http::Method::GET, "/", [200])
        .build(&registry)
        .unwrap();
    // A macro with the name of a defined metric records into it.
    record(&registry, &["order_seconds", "payment_seconds"]);
    assert_eq!(
        registry.sum("order_seconds_bucket", &[("le", "+Inf")]),
        Some(2.0)
    );
    assert_eq!(registry.sum("payment_seconds_count", &[]), Some(2.0));
    assert_eq!(
        registry.sum("payment_seconds", &[("quantile", "0")]),
        Some(0.25)
    );
    assert_eq!(
        registry.sum("payment_seconds", &[("quantile", "0.5")]),
        None
    );
    let duration = kind(&registry, "http_request_duration_seconds");
    assert_eq!(duration, MetricKind::Histogram);
    assert_valid_text(&registry.render());
}

#[test]
fn observations_recorded_many_times_or_infinite_are_counted() {
    let registry = Registry::builder().quantiles([0.5]).build().unwrap();
    metrics::with_local_recorder(&registry, || {
        let histogram = metrics::histogram!("h");
        histogram.record_many(2.0, 1_000_000_000);
        histogram.record_many(2.0, 0);
        histogram.record(f64::INFINITY);
    });
    assert_eq!(registry.sum("h_count", &[]), Some(1_000_000_001.0));
    assert_eq!(registry.sum("h_sum", &[]), Some(2_000_000_000.0));
    assert_eq!(registry.sum("h", &[("quantile", "0.5")]), Some(2.0));
}

#[test]
fn invalid_rules_are_an_error() {
    let builder = Registry::builder;
    let two = |builder: tower_prometheus::RegistryBuilder| builder.quantiles_for("b", [0.5]);
    for (builder, expected) in [
        (builder().quantiles([]), "quantiles: no quantiles"),
        (
            builder().quantiles([0.5, 99.0]),
            "quantiles: quantile 99 is not from 0 to 1",
        ),
        (
            builder().quantiles([f64::NAN]),
            "quantile NaN is not from 0 to 1",
        ),
        (
            builder().quantiles_for("a.b", [0.9, 0.5]),
            "quantiles_for(\"a.b\"): quantile 0.5 follows 0.9",
        ),
        (
            builder().quantiles_for_prefix("a", [0.5, 0.5]),
            "quantile 0.5 follows 0.5",
        ),
        (
            builder().quantiles_for_suffix("", [0.5]),
            "quantiles_for_suffix(\"\"): the name is empty; for all histograms, use `quantiles`",
        ),
        (
            builder().buckets_for("", [0.5]),
            "for all histograms, use `buckets`",
        ),
        (two(two(builder())), "quantiles_for(\"b\") is set twice"),
        (
            builder()
                .buckets_for("a.b", [1.0])
                .quantiles_for("a_b", [0.5]),
            "buckets_for(\"a_b\") and quantiles_for(\"a_b\") are both set",
        ),
        (
            builder()
                .buckets_for_unit(Unit::Count, [1.0])
                .buckets_for_unit(Unit::Count, [2.0]),
            "buckets_for_unit(Unit::Count) is set twice",
        ),
        (
            builder().buckets_for_unit(Unit::Count, []),
            "buckets_for_unit(Unit::Count): no bucket bounds",
        ),
        (
            builder().summary_window(Duration::from_millis(999)),
            "summary_window must be from 1 s to 24 h, got 999ms",
        ),
        (
            builder().summary_window(Duration::MAX),
            "summary_window must be",
        ),
    ] {
        let error = builder.build().unwrap_err().to_string();
        assert!(error.contains(expected), "{expected:?}: {error}");
    }
}
