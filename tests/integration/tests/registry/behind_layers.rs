//! A catalogue on a registry behind the recorder layers of `metrics-util`.

use metrics_util::layers::{FanoutBuilder, Layer, PrefixLayer};
use test_support::page::samples;
use test_support::warnings::Warnings;
use tower_prometheus::{Histogram, Registry, Sink, catalogue};

catalogue! {
    pub struct Shop {
        /// Duration of orders in seconds.
        pub order_seconds: Histogram { buckets: [0.5, 2.0] },
    }
}

#[test]
fn buckets_that_a_registry_behind_recorder_layers_does_not_get_cause_a_warning() {
    let registry = Registry::builder()
        .buckets_for("app_order_seconds", [0.5, 2.0])
        .build()
        .unwrap();
    let other = Registry::new();
    let fanout = FanoutBuilder::default()
        .add_recorder(PrefixLayer::new("app").layer(registry.clone()))
        .add_recorder(other.clone())
        .build();
    let warnings = Warnings::capture();
    // A `Fanout` is not `Send`, so it can only be installed.
    let shop = metrics::with_local_recorder(&fanout, || Shop::on(Sink::global().unwrap()).unwrap());
    let expected = "order_seconds: the buckets [0.5, 2.0] are ignored: this recorder sets its own buckets; configure \
                    them in the recorder, with `RegistryBuilder::buckets_for`";
    assert_eq!(warnings.about(expected).len(), 1);

    shop.order_seconds.observe(1.0);
    let page = samples(&other.render());
    assert!(page.contains_key("order_seconds_bucket{le=\"0.005\"}"));
    // What the warning advises sets the buckets.
    let page = samples(&registry.render());
    let bounds = page.keys().filter(|name| name.contains("_bucket"));
    let expected =
        ["+Inf", "0.5", "2"].map(|le| format!("app_order_seconds_bucket{{le=\"{le}\"}}"));
    assert_eq!(bounds.cloned().collect::<Vec<_>>(), expected);
}
