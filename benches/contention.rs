//! What a second thread costs: both on one series, and each on its own.
//!
//! ```text
//! cargo bench --bench contention --features quanta
//! ```

mod support;

use std::hint::black_box;

use metrics::{Counter, Gauge, Histogram};
use support::floor::{Floor, counted, table};
use support::service::{Hello, ask};
use support::timing::{Variant, measure, rounds};
use tower::Layer;
use tower_prometheus::Registry;

const ENDPOINTS: [&str; 2] = ["/users/{id}", "/orders/{id}"];

/// Handles of two series of each kind: what code that holds on to its handles writes with.
struct Handles {
    counters: [Counter; 2],
    gauges: [Gauge; 2],
    histograms: [Histogram; 2],
}

impl Handles {
    fn new(registry: &Registry) -> Self {
        metrics::with_local_recorder(registry, || Self {
            counters: ENDPOINTS.map(|name| metrics::counter!("orders_total", "of" => name)),
            gauges: ENDPOINTS.map(|name| metrics::gauge!("queue_length", "of" => name)),
            histograms: ENDPOINTS.map(|name| metrics::histogram!("latency_seconds", "of" => name)),
        })
    }
}

fn main() {
    let (rounds, repeat) = rounds();
    let table = table(&ENDPOINTS);
    let floor = Floor {
        inner: Hello,
        table,
    };
    let registry = Registry::new();
    let ours = registry.http_layer().layer(Hello);
    let Handles {
        counters,
        gauges,
        histograms,
    } = Handles::new(&registry);

    // Each once for all threads, and once with a series for each thread.
    let variants = [
        Variant::new("bare service", |n| {
            (0..n).for_each(|_| ask(&Hello, ENDPOINTS[0]));
        }),
        Variant::of_thread("", |thread, n| {
            (0..n).for_each(|_| ask(&Hello, ENDPOINTS[thread]));
        }),
        Variant::new("request, hand-written floor", |n| {
            (0..n).for_each(|_| ask(&floor, ENDPOINTS[0]));
        }),
        Variant::of_thread("", |thread, n| {
            (0..n).for_each(|_| ask(&floor, ENDPOINTS[thread]));
        }),
        Variant::new("request, tower-prometheus", |n| {
            (0..n).for_each(|_| ask(&ours, ENDPOINTS[0]));
        }),
        Variant::of_thread("", |thread, n| {
            (0..n).for_each(|_| ask(&ours, ENDPOINTS[thread]));
        }),
        Variant::new("counter handle", |n| {
            (0..n).for_each(|_| black_box(&counters[0]).increment(1));
        }),
        Variant::of_thread("", |thread, n| {
            (0..n).for_each(|_| black_box(&counters[thread]).increment(1));
        }),
        Variant::new("gauge handle", |n| {
            (0..n).for_each(|_| black_box(&gauges[0]).increment(1.0));
        }),
        Variant::of_thread("", |thread, n| {
            (0..n).for_each(|_| black_box(&gauges[thread]).increment(1.0));
        }),
        Variant::new("histogram handle", |n| {
            (0..n).for_each(|_| black_box(&histograms[0]).record(0.03));
        }),
        Variant::of_thread("", |thread, n| {
            (0..n).for_each(|_| black_box(&histograms[thread]).record(0.03));
        }),
    ];
    let one = measure(&variants, 1, rounds, repeat);
    let two = measure(&variants, 2, rounds, repeat);

    // One thread and then two, on one series and then on their own.
    let recorded = (rounds as u64 + 1) * repeat * 3 * 2;
    assert_eq!(counted(table), recorded);
    for name in [
        "http_requests_total",
        "http_request_duration_seconds_count",
        "orders_total",
        "queue_length",
        "latency_seconds_count",
    ] {
        assert_eq!(registry.sum(name, &[]), Some(recorded as f64), "{name}");
    }

    println!("Each thread's time, ns; of requests, what is added to the bare service:\n");
    println!("| | 1 thread | 2 on one series | over 1 thread | 2 on their own | over 1 thread |");
    println!("|---|---:|---:|---:|---:|---:|");
    for i in (2..variants.len()).step_by(2) {
        let name = variants[i].name;
        let bare = match name.starts_with("request") {
            true => [one[0], two[0], two[1]],
            false => [0.0; 3],
        };
        let single = one[i] - bare[0];
        let (same, own) = (two[i] - bare[1], two[i + 1] - bare[2]);
        println!(
            "| {name} | {single:.0} | {same:.0} | {:.2} | {own:.0} | {:.2} |",
            same / single,
            own / single,
        );
    }
}
