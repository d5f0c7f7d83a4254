//! The cost of a second thread that records at the same time: both into the same series, and each into its own.
//!
//! ```text
//! cargo bench --bench contention --features quanta
//! ```

mod support;

use std::hint::black_box;

use metrics::{Counter, Gauge, Histogram};
use support::floor::{Floor, counted, table};
use support::service::{Hello, send};
use support::timing::{Variant, measure, rounds};
use tower::Layer;
use tower_prometheus::Registry;

const ENDPOINTS: [&str; 2] = ["/users/{id}", "/orders/{id}"];

/// Handles of two series of each metric type, for code that keeps its handles.
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

    // Each pair: first one series for all threads, then one series per thread.
    let variants = [
        Variant::new("bare service", |n| {
            (0..n).for_each(|_| send(&Hello, ENDPOINTS[0]));
        }),
        Variant::with_thread_index("", |thread, n| {
            (0..n).for_each(|_| send(&Hello, ENDPOINTS[thread]));
        }),
        Variant::new("request, hand-written floor", |n| {
            (0..n).for_each(|_| send(&floor, ENDPOINTS[0]));
        }),
        Variant::with_thread_index("", |thread, n| {
            (0..n).for_each(|_| send(&floor, ENDPOINTS[thread]));
        }),
        Variant::new("request, tower-prometheus", |n| {
            (0..n).for_each(|_| send(&ours, ENDPOINTS[0]));
        }),
        Variant::with_thread_index("", |thread, n| {
            (0..n).for_each(|_| send(&ours, ENDPOINTS[thread]));
        }),
        Variant::new("counter handle", |n| {
            (0..n).for_each(|_| black_box(&counters[0]).increment(1));
        }),
        Variant::with_thread_index("", |thread, n| {
            (0..n).for_each(|_| black_box(&counters[thread]).increment(1));
        }),
        Variant::new("gauge handle", |n| {
            (0..n).for_each(|_| black_box(&gauges[0]).increment(1.0));
        }),
        Variant::with_thread_index("", |thread, n| {
            (0..n).for_each(|_| black_box(&gauges[thread]).increment(1.0));
        }),
        Variant::new("histogram handle", |n| {
            (0..n).for_each(|_| black_box(&histograms[0]).record(0.03));
        }),
        Variant::with_thread_index("", |thread, n| {
            (0..n).for_each(|_| black_box(&histograms[thread]).record(0.03));
        }),
    ];
    let one = measure(&variants, 1, rounds, repeat);
    let two = measure(&variants, 2, rounds, repeat);

    // Recorded by one thread and by two, into one series and into separate ones.
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

    println!(
        "Time per operation and thread, ns; for requests, the time added to the bare service:\n"
    );
    println!(
        "| | 1 thread | 2 threads, one series | relative to 1 thread | 2 threads, own series | relative to 1 thread |"
    );
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
