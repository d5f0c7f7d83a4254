//! Memory per series. Requests to existing series must add no memory.
//!
//! ```text
//! cargo bench --bench memory
//! ```

mod support;

use allocation_counter::measure;
use support::page::{Encoding, scrape};
use support::series::{Kind, record};
use support::service::{Hello, send};
use support::timing::is_measuring;
use tower::Layer;
use tower_prometheus::Registry;

fn main() {
    let series = match is_measuring() {
        true => 100_000,
        false => 1000,
    };
    println!("Bytes per series with three labels, for {series} series, after a scrape:\n");
    println!("| | 1 thread | 2 threads | 64 threads |");
    println!("|---|---:|---:|---:|");
    for kind in [Kind::Counter, Kind::Gauge, Kind::Histogram] {
        let (one, two) = held(kind, series);
        // Each further thread has a shard of the same size.
        let sixty_four = two + 62.0 * (two - one);
        println!("| {kind:?} | {one:.0} | {two:.0} | {sixty_four:.0} |");
    }
    println!();
    println!(
        "Bytes added by 1,000,000 requests to existing series: {}",
        added_by_requests()
    );
}

/// Returns the bytes per series after one thread has recorded, and after a second one has.
fn held(kind: Kind, series: usize) -> (f64, f64) {
    let registry = Registry::new();
    let handler = registry.handler();
    let of_one = measure(|| {
        record(&registry, kind, series);
        scrape(&handler, Encoding::Gzip);
    });
    // The first thread is still running, so the second has its own shard.
    let of_two = std::thread::scope(|scope| {
        let second = scope.spawn(|| measure(|| record(&registry, kind, series)));
        second.join().expect("recording does not panic")
    });
    let one = of_one.bytes_current as f64;
    let two = one + of_two.bytes_current as f64;
    (one / series as f64, two / series as f64)
}

fn added_by_requests() -> i64 {
    let registry = Registry::new();
    let service = registry.http_layer().layer(Hello);
    (0..200).for_each(|_| send(&service, "/users/{id}"));
    let info = measure(|| (0..1_000_000).for_each(|_| send(&service, "/users/{id}")));
    assert_eq!(registry.sum("http_requests_total", &[]), Some(1_000_200.0));
    info.bytes_current
}
