//! Edge cases: each test detects a mutation of the code that no other test detected.

use tower_prometheus::Registry;

#[test]
fn histogram_reserves_the_names_of_its_buckets_and_creation_time() {
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || {
        metrics::histogram!("h").record(1.0);
        metrics::gauge!("h_created").set(8.0);
        metrics::gauge!("h_bucket").set(9.0);
    });
    assert_eq!(registry.sum("U__h__created", &[]), Some(8.0));
    assert_eq!(registry.sum("U__h__bucket", &[]), Some(9.0));
}

#[test]
fn large_numbers_are_rendered_exactly() {
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || {
        metrics::gauge!("g").set(-1e300);
        metrics::histogram!("h").record_many(0.1, usize::MAX);
        metrics::histogram!("h").record(0.4);
    });
    assert_eq!(test_support::page::samples(&registry.render())["g"], -1e300);
    assert!(
        registry
            .render()
            .contains(&format!("h_bucket{{le=\"+Inf\"}} {}\n", u64::MAX))
    );
}

#[test]
fn two_threads_register_a_series_with_a_sanitized_label_once() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    const KEYS: usize = 10_000;
    let registry = Registry::new();
    // Spin: a barrier would wake the threads one after the other.
    let arrived = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                metrics::with_local_recorder(&registry, || {
                    for i in 0..KEYS {
                        arrived.fetch_add(1, Ordering::Relaxed);
                        while arrived.load(Ordering::Relaxed) < 2 * (i + 1) {
                            std::thread::yield_now();
                        }
                        metrics::counter!("c_total", "not.valid" => i.to_string()).increment(1);
                    }
                });
            });
        }
    });
    assert_eq!(registry.sum("c_total", &[]), Some(2.0 * KEYS as f64));
}

#[test]
fn histogram_sum_has_no_sample_that_its_count_lacks() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let registry = Registry::new();
    let done = AtomicBool::new(false);
    let histogram = metrics::with_local_recorder(&registry, || metrics::histogram!("h"));
    let is_consistent = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                histogram.record(1.0);
            }
        });
        let is_consistent = (0..5_000).all(|_| {
            let page = test_support::page::samples(&registry.render());
            page["h_sum"] <= page["h_count"]
        });
        done.store(true, Ordering::Relaxed);
        is_consistent
    });
    assert!(is_consistent);
}
