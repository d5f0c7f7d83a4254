//! What the layer adds to a request: one series, on one thread and on two.
//!
//! ```text
//! cargo bench --bench request --features exporter            # std's clock
//! cargo bench --bench request --features exporter,quanta     # the processor's counter
//! ```

mod support;

use support::floor::{Floor, Nothing, counted, table};
use support::service::{Hello, ask, ask_for};
use support::timing::{Variant, measure, rounds};
use tower::Layer;
use tower_prometheus::{
    Registry,
    http::{Endpoint, HttpMetricsService},
};

const ENDPOINT: &str = "/users/{id}";

/// What a scanner does to a service that names its endpoints after paths: the table is full, and each
/// further endpoint is one too many.
fn fill(service: &HttpMetricsService<Hello>) {
    ask(service, ENDPOINT);
    for i in 0..100_000 {
        ask_for(service, Endpoint::new(format!("/scanned/{i}")));
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
    let full_registry = Registry::new();
    let full = full_registry.http_layer().layer(Hello);
    fill(&full);

    #[cfg(feature = "exporter")]
    let exporter = support::exporter::exporter(1000);

    let variants = [
        Variant::new("bare service", |n| {
            (0..n).for_each(|_| ask(&Hello, ENDPOINT));
        }),
        Variant::new("do-nothing wrapper", |n| {
            (0..n).for_each(|_| ask(&nothing, ENDPOINT));
        }),
        Variant::new("hand-written floor", |n| {
            (0..n).for_each(|_| ask(&floor, ENDPOINT));
        }),
        Variant::new("tower-prometheus", |n| {
            (0..n).for_each(|_| ask(&ours, ENDPOINT));
        }),
        Variant::new("… after 100,000 unknown endpoints", |n| {
            (0..n).for_each(|_| ask(&full, ENDPOINT));
        }),
        #[cfg(feature = "exporter")]
        Variant::new("into the exporter's recorder", |n| {
            (0..n).for_each(|_| ask(&exporter.service, ENDPOINT));
            // It keeps raw samples until someone does this; here it is part of the price.
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
        "Added to a request over the bare service ({:.0} ns):\n",
        one[0]
    );
    println!("| | 1 thread, ns | over the floor | 2 threads, ns | over 1 thread |");
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
