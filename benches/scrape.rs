//! The time to render a page: counters and histograms of twelve buckets, with 100 to 100,000 label sets.
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
        "Time to render a page, ns per line, median: at once, read through the handler, and with gzip:\n"
    );
    println!(
        "| | label sets | threads | at once | handler | gzip | longest poll of the first scrape, us | of later ones, us |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    for kind in [Kind::Counter, Kind::Histogram] {
        for series in [100, 1000, 10_000, 100_000] {
            measure(kind, series.min(largest), 2);
        }
        measure(kind, 10_000.min(largest), 4);
        // Simulates the shards of 64 cores on one core.
        measure(kind, 10_000.min(largest), 64);
    }
    measure(Kind::Counter, largest, 64);
}

fn measure(kind: Kind, series: usize, threads: usize) {
    let registry = registry(kind, series, threads);
    let handler = registry.handler();
    // The first scrape indexes all series.
    let first = scrape(&handler, Encoding::Gzip);
    check(&registry, kind, series, threads);

    let lines = series * kind.lines();
    let rounds = match is_measuring() {
        true => (3_000_000 / lines).clamp(7, 300),
        false => 1,
    };
    let mut times = [const { Vec::new() }; 3];
    let mut longest_polls = Vec::new();
    for _ in 0..rounds {
        times[0].push(nanoseconds(|| drop(registry.render())));
        times[1].push(nanoseconds(|| {
            scrape(&handler, Encoding::Identity);
        }));
        times[2].push(nanoseconds(|| {
            let scraped = scrape(&handler, Encoding::Gzip);
            longest_polls.push(scraped.longest_poll.as_nanos() as f64);
        }));
    }
    let [at_once, by_handler, gzip] = times.map(|times| median(times) / lines as f64);
    println!(
        "| {kind:?} | {series} | {threads} | {at_once:.1} | {by_handler:.1} | {gzip:.1} | {:.0} | {:.0} |",
        first.longest_poll.as_nanos() as f64 / 1e3,
        quantile(longest_polls, 0.0) / 1e3,
    );
}
