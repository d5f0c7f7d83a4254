//! Registries with many series, recorded by many threads.

use std::sync::Barrier;

use metrics::{Counter, Histogram, Recorder, counter, gauge, histogram};
use tower_prometheus::Registry;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Counter,
    Gauge,
    /// With twelve buckets.
    Histogram,
}

impl Kind {
    pub fn lines(self) -> usize {
        match self {
            Self::Counter | Self::Gauge => 1,
            Self::Histogram => 14,
        }
    }
}

/// Registers series with three labels, and records once into each.
pub fn record(recorder: &impl Recorder, kind: Kind, series: usize) {
    metrics::with_local_recorder(recorder, || {
        for i in 0..series {
            let user = format!("user-{i:06}");
            match kind {
                Kind::Counter => counter(user).increment(1),
                Kind::Gauge => {
                    gauge!("queue_length", "user" => user, "region" => "eu", "kind" => "book")
                        .set(i as f64);
                }
                Kind::Histogram => histogram(user).record((i % 97) as f64 * 0.01),
            }
        }
    });
}

fn counter(user: String) -> Counter {
    counter!("orders_total", "user" => user, "region" => "eu", "kind" => "book")
}

fn histogram(user: String) -> Histogram {
    histogram!("order_duration_seconds", "user" => user, "region" => "eu", "kind" => "book")
}

/// Returns a registry in which `threads` threads, all running at the same time, have recorded into every series.
pub fn registry(kind: Kind, series: usize, threads: usize) -> Registry {
    let registry = Registry::new();
    let barrier = Barrier::new(threads);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (registry, barrier) = (&registry, &barrier);
            scope.spawn(move || {
                // A thread owns a shard from its first record until it ends.
                record(registry, kind, 1);
                barrier.wait();
                record(registry, kind, series);
                barrier.wait();
            });
        }
    });
    registry
}

/// Asserts that the page shows what [`registry`] recorded.
pub fn check(registry: &Registry, kind: Kind, series: usize, threads: usize) {
    let recorded = (threads * (series + 1)) as f64;
    match kind {
        Kind::Counter => assert_eq!(registry.sum("orders_total", &[]), Some(recorded)),
        Kind::Histogram => {
            let count = registry.sum("order_duration_seconds_count", &[]);
            assert_eq!(count, Some(recorded));
        }
        Kind::Gauge => {}
    }
    let lines = registry.render().lines().count();
    // The additional line is `# TYPE`.
    assert_eq!(lines, series * kind.lines() + 1);
}
