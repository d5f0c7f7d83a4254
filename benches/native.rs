//! Native histograms against classic ones: the time of an observation, and the memory of a series.
//!
//! ```text
//! cargo bench --bench native
//! ```

mod support;

use allocation_counter::measure as measure_memory;
use metrics::Histogram;
use support::timing::{Variant, is_measuring, measure, rounds};
use tower_prometheus::{NativeHistogram, Registry};

/// The kinds of buckets, with the settings of the registry.
const KINDS: [(&str, Option<NativeHistogram>); 3] = [
    ("classic, 12 buckets", None),
    (
        "native, factor 1.1",
        Some(NativeHistogram::new(1.1).without_classic_buckets()),
    ),
    ("both", Some(NativeHistogram::new(1.1))),
];

fn registry(settings: Option<NativeHistogram>) -> Registry {
    let builder = Registry::builder();
    let builder = match settings {
        Some(settings) => builder.native_histograms(settings),
        None => builder,
    };
    builder.build().expect("the settings are valid")
}

fn histogram(registry: &Registry, series: usize) -> Histogram {
    metrics::with_local_recorder(
        registry,
        || metrics::histogram!("latency_seconds", "series" => series.to_string()),
    )
}

/// Durations from 1 ms to 1 s, in no order.
fn duration(i: u64) -> f64 {
    0.001 * 1000_f64.powf((i.wrapping_mul(0x9E37_79B9) % 1024) as f64 / 1024.0)
}

fn main() {
    println!("Time of an observation in ns, on each thread:\n");
    println!("| | 1 thread | 2 threads |");
    println!("|---|---:|---:|");
    let (rounds, repeat) = rounds();
    let durations: Vec<f64> = (0..1024).map(duration).collect();
    let registries = KINDS.map(|(_, settings)| registry(settings));
    let variants: Vec<_> = KINDS
        .iter()
        .zip(&registries)
        .map(|((name, _), registry)| {
            let (histogram, durations) = (histogram(registry, 0), &durations);
            Variant::new(name, move |n| {
                (0..n).for_each(|i| histogram.record(durations[i as usize % durations.len()]));
            })
        })
        .collect();
    let times = [1, 2].map(|threads| measure(&variants, threads, rounds, repeat));
    for (i, variant) in variants.iter().enumerate() {
        println!(
            "| {} | {:.1} | {:.1} |",
            variant.name, times[0][i], times[1][i]
        );
    }

    println!("\nBytes of a series whose observations are from 1 ms to 1 s:\n");
    println!("| | 1 thread | 2 threads | 64 threads |");
    println!("|---|---:|---:|---:|");
    for (name, settings) in KINDS {
        let (one, two) = held(settings);
        // Each further thread has a shard of the same size.
        let sixty_four = two + 62.0 * (two - one);
        println!("| {name} | {one:.0} | {two:.0} | {sixty_four:.0} |");
    }
}

/// Returns the bytes per series after one thread has recorded, and after a second one has.
fn held(settings: Option<NativeHistogram>) -> (f64, f64) {
    let series = if is_measuring() { 10_000 } else { 100 };
    let registry = registry(settings);
    let record = || {
        for series in 0..series {
            let histogram = histogram(&registry, series);
            (0..50).for_each(|i| histogram.record(duration(i)));
        }
    };
    let one = measure_memory(record).bytes_current as f64;
    // The first thread is still running, so the second has its own shard.
    let more = std::thread::scope(|scope| {
        let second = scope.spawn(|| measure_memory(record).bytes_current);
        second.join().expect("recording does not panic")
    });
    (one / series as f64, (one + more as f64) / series as f64)
}
