//! Summaries: quantiles, sum and count.

use tower_prometheus::{Registry, Sink, Summary, catalogue, labels};

use test_support::page::{
    assert_valid_open_metrics, assert_valid_text, render_open_metrics, samples,
};

labels! {
    pub enum Kind("kind") { Read = "read", Write = "write" }
}

catalogue! {
    pub struct Store {
        /// Duration of accesses in seconds.
        pub access_seconds: Summary<Kind>,
        /// Items of a batch.
        pub batch_size: Summary,
    }
}

#[test]
fn summary_has_quantiles_sum_and_count_in_both_formats() {
    let registry = Registry::builder()
        .constant_label("service", "s")
        .build()
        .unwrap();
    let store = Store::on(&registry).unwrap();
    let read = store.access_seconds.with(Kind::Read);
    (1..=1000).for_each(|i| read.observe(f64::from(i) / 1000.0));
    read.observe(f64::NAN);
    store
        .batch_size
        .observe_duration(std::time::Duration::from_secs(7));
    store.batch_size.observe(f64::INFINITY);

    let page = registry.render();
    assert_valid_text(&page);
    assert_valid_open_metrics(&render_open_metrics(&registry));
    let page_samples = samples(&page);
    let quantile = |q| {
        page_samples[&format!("access_seconds{{kind=\"read\",service=\"s\",quantile=\"{q}\"}}")]
    };
    for q in [0.5, 0.9, 0.95, 0.99] {
        let value = quantile(q);
        assert!((value / q - 1.0).abs() <= 0.011, "{q}: {value}");
        let labels = [("kind", "read"), ("quantile", &*q.to_string())];
        assert_eq!(registry.sum("access_seconds", &labels), Some(value));
    }
    assert_eq!(
        page_samples["access_seconds_count{kind=\"read\",service=\"s\"}"],
        1000.0
    );
    assert!((page_samples["access_seconds_sum{kind=\"read\",service=\"s\"}"] - 500.5).abs() < 1e-9);
    // Enum labels are exported from start-up. Quantiles without samples are NaN.
    assert_eq!(
        page_samples["access_seconds_count{kind=\"write\",service=\"s\"}"],
        0.0
    );
    assert!(
        page.contains("access_seconds{kind=\"write\",service=\"s\",quantile=\"0.5\"} NaN\n"),
        "{page}"
    );
    // Infinity is counted, but changes neither sum nor quantiles.
    assert_eq!(page_samples["batch_size_count{service=\"s\"}"], 2.0);
    assert_eq!(page_samples["batch_size_sum{service=\"s\"}"], 7.0);
    assert!((page_samples["batch_size{service=\"s\",quantile=\"0.99\"}"] - 7.0).abs() < 0.08);
    assert!(page.contains("# TYPE batch_size summary\n"), "{page}");
    // The names of its samples are reserved: a counter with such a name is renamed.
    metrics::with_local_recorder(&registry, || {
        metrics::counter!("batch_size_sum").increment(1);
    });
    assert_valid_text(&registry.render());
}

#[test]
fn summary_on_another_recorder_is_a_histogram() {
    let foreign = Registry::new();
    let store = Store::on(Sink::recorder(foreign.clone())).unwrap();
    store.batch_size.observe(3.0);
    assert_eq!(foreign.sum("batch_size_sum", &[]), Some(3.0));
    assert_eq!(foreign.sum("batch_size_bucket", &[("le", "5")]), Some(1.0));
}
