//! The time that collectors add to a page: one collector with many series, and many collectors.
//!
//! ```text
//! cargo bench --bench collectors
//! ```

mod support;

use support::page::{Encoding, Scraped, scrape};
use support::timing::{is_measuring, median, nanoseconds, quantile};
use tower_prometheus::collect::{HistogramSample, Samples};
use tower_prometheus::{MetricsHandler, Registry};

/// With `+Inf` twelve buckets.
const BOUNDS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// The buckets, `_sum` and `_count`.
const HISTOGRAM_LINES: usize = BOUNDS.len() + 3;

fn main() {
    println!("Time of a page through the handler, median; of it, the collectors' own code:\n");
    println!(
        "| collectors | lines | ns per line | own code, ns per line | us per page | longest poll, us |"
    );
    println!("|---|---:|---:|---:|---:|---:|");
    for series in [100, 1000, 10_000] {
        let histograms = move |samples: &mut Samples| add_histograms(samples, series);
        let lines = series * HISTOGRAM_LINES;
        measure(&format!("1 with {series} histograms"), lines, 1, histograms);
    }
    for series in [1000, 10_000] {
        let gauges = move |samples: &mut Samples| add_gauges(samples, series);
        measure(&format!("1 with {series} gauges"), series, 1, gauges);
    }
    let gauges = |samples: &mut Samples| add_gauges(samples, 5);
    // Each has two lines about itself.
    measure("200 with 5 gauges that they share", 200 * 7, 200, gauges);
}

fn add_histograms(samples: &mut Samples, series: usize) {
    let mut histogram = samples.histogram("order_duration_seconds", "Duration of orders.");
    for i in 0..series {
        let buckets = BOUNDS.iter().enumerate();
        let buckets = buckets.map(|(bucket, bound)| (*bound, (i % 97 + 3 * bucket) as u64));
        let sample = HistogramSample::cumulative(buckets, i as u64 % 97 + 40, 17.5);
        histogram.sample(&labels(&user(i)), sample);
    }
}

fn add_gauges(samples: &mut Samples, series: usize) {
    // A shared metric needs labels of its own in each collector.
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let mut gauge = samples.gauge("queue_length", "Length of queues.");
    for _ in 0..series {
        let i = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 1_000_000;
        gauge.sample(&labels(&user(i)), i as f64);
    }
}

fn user(i: usize) -> String {
    format!("user-{i:06}")
}

fn labels(user: &str) -> [(&str, &str); 3] {
    [("user", user), ("region", "eu"), ("kind", "book")]
}

fn measure(
    name: &str,
    lines: usize,
    collectors: usize,
    add: impl Fn(&mut Samples) + Clone + Send + Sync + 'static,
) {
    let registry = Registry::new();
    for i in 0..collectors {
        let add = add.clone();
        let collector = move |samples: &mut Samples| {
            add(samples);
            Ok(())
        };
        registry
            .collector(&format!("collector-{i}"), collector)
            .unwrap();
    }
    check(&registry, lines);
    let handler = registry.handler();
    let rounds = match is_measuring() {
        true => (3_000_000 / lines).clamp(7, 300),
        false => 1,
    };
    let (mut pages, mut own) = (Vec::new(), Vec::new());
    let mut longest_polls = Vec::new();
    for _ in 0..rounds {
        pages.push(nanoseconds(|| {
            longest_polls.push(longest_poll(&handler));
        }));
        own.push(nanoseconds(|| {
            for _ in 0..collectors {
                add(&mut Samples::default());
            }
        }));
    }
    let (page, own) = (median(pages), median(own));
    let per_line = |time: f64| time / lines as f64;
    println!(
        "| {name} | {lines} | {:.1} | {:.1} | {:.0} | {:.0} |",
        per_line(page),
        per_line(own),
        page / 1e3,
        quantile(longest_polls, 0.5) / 1e3,
    );
}

fn longest_poll(handler: &MetricsHandler) -> f64 {
    let Scraped { longest_poll, .. } = scrape(handler, Encoding::Identity);
    longest_poll.as_nanos() as f64
}

/// Checks that a page has at least this many lines with samples.
fn check(registry: &Registry, lines: usize) {
    let snapshot = support::page::block_on(registry.gather());
    let series = snapshot.families().map(|family| match family.kind() {
        tower_prometheus::model::MetricKind::Histogram => family.len() * HISTOGRAM_LINES,
        _ => family.len(),
    });
    assert!(series.sum::<usize>() >= lines);
}
