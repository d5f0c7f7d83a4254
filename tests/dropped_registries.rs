//! What stays in memory of a registry that is dropped. A test binary of its own, because it sets a global allocator.

use tower_prometheus::{Counter, HttpMetrics, Registry, catalogue};

catalogue! {
    struct Shop {
        /// Total number of orders.
        orders_total: Counter,
        /// Total number of refunds.
        refunds_total: Counter,
    }
}

const KIB: i64 = 1024;

/// The bytes that stay allocated after a call, on average of 100 calls.
fn bytes_that_stay(run: impl Fn()) -> i64 {
    // Allocates what the process allocates once.
    run();
    let info = allocation_counter::measure(|| (0..100).for_each(|_| run()));
    info.bytes_current / 100
}

#[test]
fn nothing_stays_of_a_registry_without_layers_and_catalogues() {
    let bytes = bytes_that_stay(|| {
        let registry = Registry::builder().buckets_for("wait_seconds", [1.0]);
        let registry = registry.build().unwrap();
        let handler = registry.handler();
        metrics::with_local_recorder(&registry, || {
            for tenant in ["a", "b"] {
                metrics::counter!("orders_total", "tenant" => tenant).increment(1);
                metrics::gauge!("queue_length", "shop.id" => tenant).set(1.0);
                metrics::histogram!("wait_seconds").record(0.1);
            }
        });
        let handle = registry.gauge("threads", "Number of threads.", || 1_u64);
        drop((handle, registry.render(), handler));
    });
    assert_eq!(bytes, 0);
}

/// The sizes that the documentation of `Registry` names.
#[test]
fn layers_and_catalogues_keep_the_documented_size() {
    let catalogue = bytes_that_stay(|| {
        let registry = Registry::new();
        let shop = Shop::on(&registry).unwrap();
        shop.orders_total.increment();
        shop.refunds_total.increment();
        drop(registry.render());
    });
    assert!(catalogue <= 16 * KIB, "catalogue: {catalogue} bytes");
    let http = bytes_that_stay(|| {
        let _layer = Registry::new().http_layer();
    });
    assert!(http <= 50 * KIB, "HTTP layer: {http} bytes");
    let few_endpoints = bytes_that_stay(|| {
        let metrics = HttpMetrics::server().max_endpoints(20);
        let _layer = metrics.build(Registry::new()).unwrap();
    });
    assert!(
        few_endpoints <= 20 * KIB,
        "few endpoints: {few_endpoints} bytes"
    );
    let grpc = bytes_that_stay(|| {
        let _layer = Registry::new().grpc_layer();
    });
    assert!(grpc <= 54 * KIB, "gRPC layer: {grpc} bytes");
}
