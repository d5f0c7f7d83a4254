//! A registry records the macros of one version of the `metrics` crate.

use tower_prometheus::Registry;

#[test]
fn macros_of_metrics_0_23_record_nothing() {
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || {
        metrics_0_23::counter!("orders_total").increment(1);
        metrics::counter!("refunds_total").increment(1);
    });
    assert_eq!(registry.sum("orders_total", &[]), None);
    assert_eq!(registry.sum("refunds_total", &[]), Some(1.0));
}
