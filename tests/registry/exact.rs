//! No sample is lost, no counter decreases, and memory does not grow with samples.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use tower_prometheus::Registry;

use test_support::page::samples;

/// Asserts that counters, buckets and counts never decrease from one scrape to the next, that the `+Inf` bucket
/// equals the count, and that no series disappears.
#[derive(Default)]
struct ScrapeChecks {
    previous: BTreeMap<String, f64>,
}

impl ScrapeChecks {
    fn scrape(&mut self, registry: &Registry) {
        let now = samples(&registry.render());
        for (name, value) in &now {
            let before = self.previous.get(name).copied().unwrap_or(0.0);
            if !name.starts_with("g_") {
                assert!(
                    *value >= before,
                    "{name} decreased from {before} to {value}"
                );
            }
            if let Some(count) = name.strip_prefix("h_seconds_count") {
                let inf = match count.strip_suffix('}') {
                    Some(labels) => format!("h_seconds_bucket{labels},le=\"+Inf\"}}"),
                    None => "h_seconds_bucket{le=\"+Inf\"}".to_owned(),
                };
                assert_eq!(now[&inf], *value, "{inf}");
            }
        }
        let all_present = self.previous.keys().all(|name| now.contains_key(name));
        assert!(all_present, "a series disappeared");
        self.previous = now;
    }
}

const THREADS: u64 = 8;
const ROUNDS: u64 = 20_000;

/// 8 threads record, in threads that are started and ended; another thread scrapes continuously.
#[test]
fn no_sample_is_lost_during_continuous_scrapes() {
    let registry = Registry::new();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let scraper = scope.spawn(|| {
            let mut checks = ScrapeChecks::default();
            while !done.load(Ordering::Acquire) {
                checks.scrape(&registry);
            }
            checks.scrape(&registry);
        });
        let recorders: Vec<_> = (0..THREADS)
            .map(|thread| {
                let registry = &registry;
                scope.spawn(move || record(registry, thread))
            })
            .collect();
        for recorder in recorders {
            recorder.join().unwrap();
        }
        done.store(true, Ordering::Release);
        scraper.join().unwrap();
    });
    let all = (THREADS * ROUNDS) as f64;
    let value = |name, labels: &[(&str, &str)]| registry.sum(name, labels);
    assert_eq!(value("c_total", &[("series", "same")]), Some(all));
    assert_eq!(value("h_seconds_count", &[]), Some(all));
    assert_eq!(value("h_seconds_sum", &[]), Some(all * 0.5));
    assert_eq!(value("g_level", &[]), Some(0.0));
    for thread in 0..THREADS {
        let labels = [("series", &*format!("own{thread}"))];
        assert_eq!(value("c_total", &labels), Some(ROUNDS as f64));
    }
}

fn record(registry: &Registry, thread: u64) {
    // Every hundred rounds run on a new thread, which reuses the shard of an ended one.
    for _ in 0..ROUNDS / 100 {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                metrics::with_local_recorder(registry, || {
                    let same = metrics::counter!("c_total", "series" => "same");
                    let own = metrics::counter!("c_total", "series" => format!("own{thread}"));
                    let histogram = metrics::histogram!("h_seconds", "a" => "b");
                    let level = metrics::gauge!("g_level");
                    for _ in 0..100 {
                        level.increment(1.0);
                        same.increment(1);
                        own.increment(1);
                        histogram.record(0.5);
                        level.decrement(1.0);
                    }
                });
            });
        });
    }
}

#[test]
fn series_registered_during_continuous_scrapes_are_on_every_later_page() {
    const SERIES: u64 = 3000;
    let registry = Registry::new();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut checks = ScrapeChecks::default();
            while !done.load(Ordering::Acquire) {
                checks.scrape(&registry);
            }
        });
        metrics::with_local_recorder(&registry, || {
            for i in 0..SERIES {
                metrics::counter!("c_total", "series" => i.to_string()).increment(1);
                if i % 100 == 0 {
                    let newest = [("series", &*i.to_string())];
                    assert_eq!(registry.sum("c_total", &newest), Some(1.0));
                }
            }
        });
        done.store(true, Ordering::Release);
    });
    assert_eq!(registry.sum("c_total", &[]), Some(SERIES as f64));
}

#[test]
fn samples_recorded_by_thread_local_destructors_are_counted() {
    struct IncrementOnDrop(metrics::Counter);
    impl Drop for IncrementOnDrop {
        fn drop(&mut self) {
            self.0.increment(1);
        }
    }
    thread_local! {
        static FIRST: std::cell::RefCell<Option<IncrementOnDrop>> = const { std::cell::RefCell::new(None) };
        static SECOND: std::cell::RefCell<Option<IncrementOnDrop>> = const { std::cell::RefCell::new(None) };
    }
    let registry = Registry::new();
    let counter = metrics::with_local_recorder(&registry, || metrics::counter!("events_total"));
    for _ in 0..50 {
        let counter = counter.clone();
        let thread = std::thread::spawn(move || {
            FIRST.set(Some(IncrementOnDrop(counter.clone())));
            counter.increment(1);
            SECOND.set(Some(IncrementOnDrop(counter)));
        });
        thread.join().unwrap();
    }
    assert_eq!(registry.sum("events_total", &[]), Some(150.0));
}

/// 100 million samples without a scrape allocate nothing.
#[test]
fn memory_does_not_grow_with_samples() {
    let registry = Registry::new();
    let histogram = metrics::with_local_recorder(&registry, || metrics::histogram!("h_seconds"));
    histogram.record(0.3);
    let info = allocation_counter::measure(|| {
        for _ in 0..100_000_000_u32 {
            histogram.record(0.3);
        }
    });
    assert_eq!(info.bytes_total, 0);
    assert_eq!(registry.sum("h_seconds_count", &[]), Some(100_000_001.0));
}
