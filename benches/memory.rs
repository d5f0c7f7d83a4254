//! What a series holds in memory, and that requests add nothing to it.
//!
//! ```text
//! cargo bench --bench memory
//! ```

mod support;

use allocation_counter::measure;
use support::page::{Encoding, scrape};
use support::series::{Kind, record};
use support::service::{Hello, ask};
use support::timing::is_measuring;
use tower::Layer;
use tower_prometheus::Registry;

fn main() {
    let series = match is_measuring() {
        true => 100_000,
        false => 1000,
    };
    println!("Bytes a series of three labels, after a scrape, of {series}:\n");
    println!("| | 1 thread | 2 threads | 64 threads |");
    println!("|---|---:|---:|---:|");
    for kind in [Kind::Counter, Kind::Gauge, Kind::Histogram] {
        let (one, two) = held(kind, series);
        // Each further thread has the same copy of all cells.
        let sixty_four = two + 62.0 * (two - one);
        println!("| {kind:?} | {one:.0} | {two:.0} | {sixty_four:.0} |");
    }
    println!();
    println!(
        "Bytes that requests add once their series exist: {}",
        added_by_requests()
    );
}

/// Bytes a series when one thread has recorded, and when a second one has.
fn held(kind: Kind, series: usize) -> (f64, f64) {
    let registry = Registry::new();
    let handler = registry.handler();
    let of_one = measure(|| {
        record(&registry, kind, series);
        scrape(&handler, Encoding::Gzip);
    });
    // The first thread is alive, so that the second has a shard of its own.
    let of_two = std::thread::scope(|scope| {
        let second = scope.spawn(|| measure(|| record(&registry, kind, series)));
        second.join().expect("it only records")
    });
    let one = of_one.bytes_current as f64;
    let two = one + of_two.bytes_current as f64;
    (one / series as f64, two / series as f64)
}

fn added_by_requests() -> i64 {
    let registry = Registry::new();
    let service = registry.http_layer().layer(Hello);
    (0..200).for_each(|_| ask(&service, "/users/{id}"));
    let info = measure(|| (0..1_000_000).for_each(|_| ask(&service, "/users/{id}")));
    assert_eq!(registry.sum("http_requests_total", &[]), Some(1_000_200.0));
    info.bytes_current
}
