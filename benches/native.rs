//! Native histograms against classic ones: the time of an observation, and the memory of a series.
//! `benches/request.rs` has the time of a request.
//!
//! ```text
//! cargo bench --bench native
//! ```

mod support;

use std::hint::black_box;
use std::sync::Arc;

use allocation_counter::measure as measure_memory;
use metrics::{Histogram, HistogramFn};
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

tower_prometheus::catalogue! {
    struct Shop {
        /// The latency.
        latency_seconds: tower_prometheus::Histogram,
    }
}

/// A histogram that ignores observations, to measure a handle by itself.
struct Ignored;

impl HistogramFn for Ignored {
    fn record(&self, value: f64) {
        black_box(value);
    }
}

fn main() {
    let (rounds, repeat) = rounds();
    let durations: Vec<f64> = (0..1024).map(duration).collect();
    let at = |i: u64| durations[i as usize % durations.len()];
    let ignored = Histogram::from_arc(Arc::new(Ignored));
    let mut variants = vec![Variant::new("handle that ignores observations", |n| {
        (0..n).for_each(|i| ignored.record(at(i)));
    })];
    let registries = KINDS.map(|(_, settings)| registry(settings));
    for ((kind, _), registry) in KINDS.iter().zip(&registries) {
        let handle = histogram(registry, 0);
        let shop = Shop::on(registry).expect("the registry is empty");
        variants.extend([
            Variant::new(kind, move |n| {
                (0..n).for_each(|i| handle.record(at(i)));
            }),
            Variant::new(kind, move |n| {
                (0..n).for_each(|i| shop.latency_seconds.observe(at(i)));
            }),
        ]);
    }
    let times = [1, 2].map(|threads| measure(&variants, threads, rounds, repeat));
    println!("Time of an observation in ns, on each thread:\n");
    println!("| | | 1 thread | 2 threads |");
    println!("|---|---|---:|---:|");
    let through = ["`metrics` handle"].into_iter();
    let through = through.chain(["`metrics` handle", "catalogue"].into_iter().cycle());
    for (i, (variant, through)) in variants.iter().zip(through).enumerate() {
        let [one, two] = [times[0][i], times[1][i]];
        println!("| {} | {through} | {one:.1} | {two:.1} |", variant.name);
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
