//! What a page costs: counters and histograms of twelve buckets, at 100 to 100,000 label sets.
//!
//! ```text
//! cargo bench --bench scrape
//! ```

mod support;

use support::page::{Encoding, scrape};
use support::series::{Kind, check, registry};
use support::timing::{is_measuring, median, nanoseconds, quantile};

fn main() {
    let largest = match is_measuring() {
        true => 100_000,
        false => 1000,
    };
    println!(
        "A page, ns a line: the median; written at once, read through the handler, and that with gzip:\n"
    );
    println!(
        "| | label sets | threads | at once | handler | gzip | first scrape, longest turn, us | later ones', us |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    for kind in [Kind::Counter, Kind::Histogram] {
        for series in [100, 1000, 10_000, 100_000] {
            measure(kind, series.min(largest), 2);
        }
        measure(kind, 10_000.min(largest), 4);
        // As many shards as 64 cores would fill, read by one.
        measure(kind, 10_000.min(largest), 64);
    }
    measure(Kind::Counter, largest, 64);
}

fn measure(kind: Kind, series: usize, threads: usize) {
    let registry = registry(kind, series, threads);
    let handler = registry.handler();
    // Everything is a newcomer.
    let first = scrape(&handler, Encoding::Gzip);
    check(&registry, kind, series, threads);

    let lines = series * kind.lines();
    let rounds = match is_measuring() {
        true => (3_000_000 / lines).clamp(7, 300),
        false => 1,
    };
    let mut times = [const { Vec::new() }; 3];
    let mut turns = Vec::new();
    for _ in 0..rounds {
        times[0].push(nanoseconds(|| drop(registry.render())));
        times[1].push(nanoseconds(|| {
            scrape(&handler, Encoding::Identity);
        }));
        times[2].push(nanoseconds(|| {
            let scraped = scrape(&handler, Encoding::Gzip);
            turns.push(scraped.longest_turn.as_nanos() as f64);
        }));
    }
    let [at_once, by_handler, gzip] = times.map(|times| median(times) / lines as f64);
    println!(
        "| {kind:?} | {series} | {threads} | {at_once:.1} | {by_handler:.1} | {gzip:.1} | {:.0} | {:.0} |",
        first.longest_turn.as_nanos() as f64 / 1e3,
        quantile(turns, 0.0) / 1e3,
    );
}
