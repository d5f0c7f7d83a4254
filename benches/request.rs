//! The time that the layer adds to a request: one series, with one thread and with two.
//!
//! ```text
//! cargo bench --bench request --features exporter            # clock of std
//! cargo bench --bench request --features exporter,quanta     # time-stamp counter
//! ```

mod support;

use support::floor::{Floor, Nothing, counted, table};
use support::service::{Hello, send, send_to};
use support::timing::{Variant, measure, rounds};
use tower::Layer;
use tower_prometheus::{
    NativeHistogram, Registry,
    http::{Endpoint, HttpMetricsService},
};

const ENDPOINT: &str = "/users/{id}";

/// Fills the endpoint table, like a scanner of a service that uses paths as endpoints. Further endpoints are recorded
/// as `overflow`.
fn fill(service: &HttpMetricsService<Hello>) {
    send(service, ENDPOINT);
    for i in 0..100_000 {
        send_to(service, Endpoint::new(format!("/scanned/{i}")));
    }
}

fn main() {
    let (rounds, repeat) = rounds();
    let floor_table = table(&[ENDPOINT]);
    let floor = Floor {
        inner: Hello,
        table: floor_table,
    };
    let nothing = Nothing(Hello);
    let registry = Registry::new();
    let ours = registry.http_layer().layer(Hello);
    let native = NativeHistogram::new(1.1).without_classic_buckets();
    let native_registry = Registry::builder().native_histograms(native).build();
    let native_registry = native_registry.expect("the factor is valid");
    let native = native_registry.http_layer().layer(Hello);
    let full_registry = Registry::new();
    let full = full_registry.http_layer().layer(Hello);
    fill(&full);

    #[cfg(feature = "exporter")]
    let exporter = support::exporter::exporter(1000);

    let variants = [
        Variant::new("bare service", |n| {
            (0..n).for_each(|_| send(&Hello, ENDPOINT));
        }),
        Variant::new("do-nothing wrapper", |n| {
            (0..n).for_each(|_| send(&nothing, ENDPOINT));
        }),
        Variant::new("hand-written floor", |n| {
            (0..n).for_each(|_| send(&floor, ENDPOINT));
        }),
        Variant::new("tower-prometheus", |n| {
            (0..n).for_each(|_| send(&ours, ENDPOINT));
        }),
        Variant::new("… with native durations", |n| {
            (0..n).for_each(|_| send(&native, ENDPOINT));
        }),
        Variant::new("… after 100,000 unknown endpoints", |n| {
            (0..n).for_each(|_| send(&full, ENDPOINT));
        }),
        #[cfg(feature = "exporter")]
        Variant::new("into the exporter's recorder", |n| {
            (0..n).for_each(|_| send(&exporter.service, ENDPOINT));
            // The exporter keeps raw samples until this call, so it is part of the cost.
            exporter.handle.run_upkeep();
        }),
    ];
    let one = measure(&variants, 1, rounds, repeat);
    let two = measure(&variants, 2, rounds, repeat);

    let requests = (rounds as u64 + 1) * repeat * 3;
    assert_eq!(
        registry.sum("http_requests_total", &[]),
        Some(requests as f64)
    );
    assert_eq!(counted(floor_table), requests);

    println!(
        "Time added to a request of the bare service, which takes {:.0} ns:\n",
        one[0]
    );
    println!("| | 1 thread, ns | relative to the floor | 2 threads, ns | relative to 1 thread |");
    println!("|---|---:|---:|---:|---:|");
    let floor_adds = one[2] - one[0];
    for (i, variant) in variants.iter().enumerate().skip(1) {
        let (single, double) = (one[i] - one[0], two[i] - two[0]);
        println!(
            "| {} | {single:.0} | {:.2} | {double:.0} | {:.2} |",
            variant.name,
            single / floor_adds,
            double / single,
        );
    }
}
