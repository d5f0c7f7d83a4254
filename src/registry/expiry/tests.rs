//! Tests with a clock that is advanced by hand. It is the clock of the thread, and only scrapes read it.

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use metrics::{counter, gauge, histogram, with_local_recorder};

use crate::clock::stepped;
use crate::registry::Registry;
use crate::registry::builder::RegistryBuilder;

const TIMEOUT: Duration = Duration::from_secs(60);

fn registry_of(builder: RegistryBuilder) -> Registry {
    builder.idle_timeout(TIMEOUT).build().unwrap()
}

fn registry() -> Registry {
    registry_of(Registry::builder())
}

/// Shows what is recorded, and lets everything that is idle expire.
fn expire(registry: &Registry) -> String {
    let _ = registry.render();
    stepped::advance(TIMEOUT);
    registry.render()
}

fn sum(registry: &Registry, name: &str) -> Option<f64> {
    registry.sum(name, &[])
}

#[test]
fn idle_series_leaves_the_page_and_returns_from_0() {
    let registry = registry();
    with_local_recorder(&registry, || {
        counter!("jobs_total", "tenant" => "a").increment(3);
        counter!("jobs_total", "tenant" => "b").increment(1);
        let _ = registry.render();
        stepped::advance(TIMEOUT);
        counter!("jobs_total", "tenant" => "b").increment(1);
        let page = registry.render();
        assert_eq!(
            page,
            "# TYPE jobs_total counter\njobs_total{tenant=\"b\"} 2\n"
        );
        counter!("jobs_total", "tenant" => "a").increment(4);
        assert_eq!(registry.sum("jobs_total", &[("tenant", "a")]), Some(4.0));
    });
}

#[test]
fn returning_series_has_a_new_time_of_registration() {
    let registry = registry();
    let created = || {
        let snapshot = registry.snapshot_now(super::Purpose::Page);
        let family = snapshot.family("jobs_total").unwrap();
        let created = family.series().next().unwrap().created();
        created.unwrap()
    };
    let jobs = with_local_recorder(&registry, || counter!("jobs_total"));
    jobs.increment(1);
    let first = created();
    expire(&registry);
    // The clock of these times has milliseconds.
    while std::time::SystemTime::now() < first + Duration::from_millis(2) {
        std::hint::spin_loop();
    }
    jobs.increment(1);
    assert!(created() > first);
}

#[test]
fn series_stays_until_a_complete_page_has_shown_its_last_value() {
    let registry = registry();
    let jobs = with_local_recorder(&registry, || counter!("jobs_total"));
    for _ in 0..3 {
        // Read but not completed, as a page whose connection breaks.
        drop(registry.snapshot_now(super::Purpose::Page));
        stepped::advance(TIMEOUT);
    }
    assert_eq!(
        registry.render(),
        "# TYPE jobs_total counter\njobs_total 0\n"
    );
    jobs.increment(1);
    stepped::advance(TIMEOUT);
    assert!(registry.render().contains("jobs_total 1\n"));
    stepped::advance(TIMEOUT);
    assert_eq!(registry.render(), "");
}

#[test]
fn series_returns_only_after_a_complete_page_without_it() {
    let registry = registry();
    let jobs = with_local_recorder(&registry, || counter!("jobs_total"));
    jobs.increment(1);
    let _ = registry.render();
    stepped::advance(TIMEOUT);
    // The page that lets it expire is not completed.
    drop(registry.snapshot_now(super::Purpose::Page));
    jobs.increment(5);
    assert_eq!(registry.render(), "");
    assert!(registry.render().contains("jobs_total 5\n"));
}

#[test]
fn nothing_expires_while_a_snapshot_exists() {
    let registry = registry();
    with_local_recorder(&registry, || counter!("jobs_total").increment(1));
    let _ = registry.render();
    let snapshot = registry.snapshot_now(super::Purpose::Page);
    assert!(expire(&registry).contains("jobs_total 1\n"));
    drop(snapshot);
    assert_eq!(registry.render(), "");
}

#[test]
fn held_handle_counts_into_its_own_series_for_ever() {
    let registry = registry();
    with_local_recorder(&registry, || {
        let held = counter!("jobs_total", "tenant" => "a");
        held.increment(5);
        assert_eq!(expire(&registry), "");
        // Other values come and go meanwhile, and may not get the cells.
        for tenant in 0..20 {
            counter!("jobs_total", "tenant" => tenant.to_string()).increment(7);
            expire(&registry);
            expire(&registry);
        }
        held.increment(2);
        counter!("jobs_total", "tenant" => "b").increment(1);
        let value = |tenant| registry.sum("jobs_total", &[("tenant", tenant)]);
        assert_eq!((value("a"), value("b")), (Some(2.0), Some(1.0)));
        assert_eq!(expire(&registry), "");
        drop(held);
        expire(&registry);
        counter!("jobs_total", "tenant" => "a").increment(1);
        assert_eq!(value("a"), Some(1.0));
    });
}

/// The time between a scrape and the check of the next one, and between the check and the end of the page.
#[test]
fn increments_of_another_thread_around_the_expiry_are_not_lost() {
    let registry = registry();
    let held = with_local_recorder(&registry, || counter!("jobs_total"));
    held.increment(1);
    let _ = registry.render();
    let [expired, recorded] = [(); 2].map(|()| Barrier::new(2));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            expired.wait();
            held.increment(2);
            recorded.wait();
        });
        stepped::advance(TIMEOUT);
        assert_eq!(registry.render(), "");
        expired.wait();
        recorded.wait();
    });
    assert_eq!(sum(&registry, "jobs_total"), Some(2.0));
}

#[test]
fn gauge_that_is_set_expires_and_one_that_counts_does_not() {
    let registry = registry();
    with_local_recorder(&registry, || {
        gauge!("load").set(0.5);
        gauge!("open").increment(2.0);
        gauge!("closed").increment(2.0);
        gauge!("closed").decrement(2.0);
        assert_eq!(expire(&registry), "# TYPE open gauge\nopen 2\n");
        gauge!("open").decrement(2.0);
        assert!(registry.render().contains("open 0\n"));
        assert_eq!(expire(&registry), "");
        gauge!("load").increment(1.0);
        assert_eq!(sum(&registry, "load"), Some(1.0));
    });
}

#[test]
fn gauge_that_is_set_to_the_same_value_stays() {
    let registry = registry();
    with_local_recorder(&registry, || {
        gauge!("up").set(1.0);
        for _ in 0..3 {
            let _ = registry.render();
            stepped::advance(TIMEOUT);
            gauge!("up").set(1.0);
        }
        assert_eq!(sum(&registry, "up"), Some(1.0));
    });
}

#[test]
fn held_gauge_keeps_what_it_counts() {
    let registry = registry();
    with_local_recorder(&registry, || {
        let open = gauge!("open");
        open.increment(1.0);
        registry.remove("open", &[]);
        assert_eq!(registry.render(), "");
        open.decrement(1.0);
        assert_eq!(sum(&registry, "open"), Some(0.0), "never -1");
    });
}

#[test]
fn histogram_restarts_at_0() {
    for native in [None, Some(1.5)] {
        let mut builder = Registry::builder().buckets([1.0, 2.0]);
        if let Some(factor) = native {
            builder = builder.native_histograms(factor);
        }
        let registry = registry_of(builder);
        with_local_recorder(&registry, || {
            let held = histogram!("wait_seconds", "kind" => "held");
            for round in 0..4 {
                held.record(0.5);
                held.record(1.5);
                let fresh = histogram!("wait_seconds", "kind" => format!("fresh{round}"));
                fresh.record(4.0);
                drop(fresh);
                let value = |name, le| registry.sum(name, &[("kind", "held"), ("le", le)]);
                assert_eq!(value("wait_seconds_bucket", "1"), Some(1.0));
                assert_eq!(value("wait_seconds_bucket", "+Inf"), Some(2.0));
                assert_eq!(sum(&registry, "wait_seconds_sum"), Some(6.0));
                if native.is_some() {
                    let snapshot = registry.snapshot_now(super::Purpose::Page);
                    let family = snapshot.family("wait_seconds").unwrap();
                    for series in family.series() {
                        let crate::snapshot::Value::Histogram(value) = series.value() else {
                            panic!("no histogram");
                        };
                        assert_eq!(value.native().unwrap().count(), value.count());
                    }
                }
                assert_eq!(expire(&registry), "");
            }
        });
    }
}

#[cfg(feature = "summary")]
#[test]
fn summary_restarts_at_0_and_without_its_last_observations() {
    let registry = registry_of(Registry::builder().quantiles([1.0]));
    with_local_recorder(&registry, || {
        for value in [7.0, 3.0] {
            histogram!("wait_seconds").record(value);
            assert_eq!(sum(&registry, "wait_seconds_count"), Some(1.0));
            assert_eq!(
                registry.sum("wait_seconds", &[("quantile", "1")]),
                Some(value)
            );
            assert_eq!(expire(&registry), "");
        }
    });
}

#[test]
fn timeouts_apply_by_name_prefix_and_label() {
    let registry = Registry::builder()
        .idle_timeout(TIMEOUT)
        .idle_timeout_for("kept.total", None)
        .idle_timeout_for_prefix("slow_", 10 * TIMEOUT)
        .idle_timeout_for_label("session", TIMEOUT / 2)
        .build()
        .unwrap();
    with_local_recorder(&registry, || {
        counter!("kept.total", "session" => "1").increment(1);
        counter!("slow_total", "session" => "1").increment(1);
        counter!("fast_total", "session" => "1").increment(1);
        counter!("other_total").increment(1);
    });
    let _ = registry.render();
    let left = |by: Duration| {
        stepped::advance(by);
        let page = registry.render();
        let names = page.lines().filter(|line| !line.starts_with('#'));
        let names = names.map(|line| line.split('_').next().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(left(TIMEOUT / 2), ["kept", "other", "slow"]);
    assert_eq!(left(TIMEOUT / 2), ["kept", "slow"]);
    assert_eq!(left(9 * TIMEOUT), ["kept"]);
}

#[test]
fn removed_counter_stays_until_its_last_value_was_shown() {
    let registry = Registry::new();
    with_local_recorder(&registry, || {
        counter!("jobs_total", "tenant" => "a", "kind" => "x").increment(1);
        counter!("jobs_total", "tenant" => "a", "kind" => "y").increment(1);
        counter!("jobs_total", "tenant" => "b", "kind" => "x").increment(1);
    });
    assert_eq!(registry.remove("jobs_total", &[("tenant", "a")]), 2);
    assert_eq!(sum(&registry, "jobs_total"), Some(3.0));
    assert_eq!(registry.render().lines().count(), 4);
    assert_eq!(registry.render().lines().count(), 2);
    assert_eq!(registry.remove("jobs_total", &[("tenant", "a")]), 0);
    assert_eq!(registry.remove("jobs", &[]), 0);
}

#[test]
fn series_with_sanitized_labels_expire_and_return() {
    let registry = registry();
    with_local_recorder(&registry, || {
        for _ in 0..3 {
            counter!("jobs_total", "shop.id" => "a").increment(1);
            counter!("jobs_total", "shop-id" => "a").increment(2);
            assert_eq!(sum(&registry, "jobs_total"), Some(3.0));
            expire(&registry);
            assert_eq!(expire(&registry), "");
        }
    });
}

#[test]
fn series_of_a_layer_or_a_catalogue_never_expires() {
    let registry = registry();
    with_local_recorder(&registry, || counter!("jobs_total").increment(1));
    let key = metrics::Key::from_name("jobs_total");
    let sink = crate::sink::Sink::from(&registry);
    let _handle = sink.counter(key, &crate::registry::lifetime::Lifetime::Permanent);
    assert!(expire(&registry).contains("jobs_total 1\n"));
    assert_eq!(registry.remove("jobs_total", &[]), 0);
}

#[test]
fn cells_of_expired_series_are_reused() {
    let registry = registry_of(Registry::builder().native_histograms(2.0));
    let store = registry.store();
    let mut ends = Vec::new();
    for round in 0..50 {
        with_local_recorder(&registry, || {
            for i in 0..20 {
                let value = format!("{round}.{i}");
                counter!("c_total", "value" => value.clone()).increment(1);
                gauge!("g", "value" => value.clone()).set(1.0);
                histogram!("h_seconds", "value" => value).record(0.7);
            }
        });
        expire(&registry);
        let _ = registry.render();
        ends.push((store.counts_end(), store.sums_end(), store.gauges.end()));
    }
    assert_eq!(ends[1], ends[49]);
}

/// Reads pages as Prometheus does, and adds up the lives of each series.
#[derive(Default)]
struct Scraper {
    last: BTreeMap<String, f64>,
    ended: BTreeMap<String, f64>,
}

impl Scraper {
    fn scrape(&mut self, registry: &Registry) {
        let page = registry.render();
        let lines = page.lines().filter(|line| !line.starts_with('#'));
        let samples = lines.map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        });
        let now: BTreeMap<String, f64> = samples.collect();
        for (name, value) in &self.last {
            match now.get(name) {
                Some(later) => assert!(later >= value, "{name} fell from {value} to {later}"),
                None => *self.ended.entry(name.clone()).or_default() += value,
            }
        }
        self.last = now;
    }

    /// The total over all lives.
    fn total(&self, name: &str) -> f64 {
        let of = |samples: &BTreeMap<String, f64>| samples.get(name).copied().unwrap_or_default();
        of(&self.last) + of(&self.ended)
    }
}

const ROUNDS: usize = 30_000;
const VALUES: usize = 12;

/// Threads record through held and fresh handles, with pauses, while everything expires all the time.
#[test]
fn totals_over_all_lives_equal_what_was_recorded() {
    const THREADS: usize = 4;
    let registry = registry_of(Registry::builder().buckets([1.0]));
    let done = AtomicBool::new(false);
    let recorded = std::thread::scope(|scope| {
        let recorders: Vec<_> = (0..THREADS)
            .map(|thread| {
                let registry = &registry;
                scope.spawn(move || record(registry, thread))
            })
            .collect();
        let (done, registry) = (&done, &registry);
        let scraper = scope.spawn(move || {
            let mut scraper = Scraper::default();
            let mut lives = 0;
            while !done.load(Ordering::Acquire) {
                scraper.scrape(registry);
                lives += scraper.ended.len();
                stepped::advance(TIMEOUT / 2);
            }
            for _ in 0..2 {
                scraper.scrape(registry);
            }
            assert!(lives > 0, "nothing has expired");
            scraper
        });
        let recorded = recorders.into_iter().map(|thread| thread.join().unwrap());
        let recorded = recorded.fold([0.0; VALUES], |mut all, one| {
            for (all, one) in all.iter_mut().zip(one) {
                *all += one;
            }
            all
        });
        done.store(true, Ordering::Release);
        (recorded, scraper.join().unwrap())
    });
    let (recorded, scraper) = recorded;
    for (value, recorded) in recorded.iter().enumerate() {
        for name in [
            format!("jobs_total{{value=\"{value}\"}}"),
            format!("size_count{{value=\"{value}\"}}"),
            format!("size_sum{{value=\"{value}\"}}"),
            format!("size_bucket{{value=\"{value}\",le=\"+Inf\"}}"),
        ] {
            assert_eq!(scraper.total(&name), *recorded, "{name}");
        }
    }
}

/// Returns how often each value was recorded.
fn record(registry: &Registry, thread: usize) -> [f64; VALUES] {
    let mut recorded = [0.0; VALUES];
    let mut held = Vec::new();
    with_local_recorder(registry, || {
        for round in 0..ROUNDS {
            // Each value is recorded for a while, and then not for a while.
            let value = (round / 500 + thread * 5) % VALUES;
            if round % 1_000 == thread {
                let label = value.to_string();
                let counter = counter!("jobs_total", "value" => label.clone());
                let size = histogram!("size", "value" => label);
                held.push((value, counter, size));
                if held.len() > 3 {
                    drop(held.remove(0));
                }
            }
            match held.get(round % 7) {
                Some((value, counter, size)) => {
                    counter.increment(1);
                    size.record(1.0);
                    recorded[*value] += 1.0;
                }
                None => {
                    counter!("jobs_total", "value" => value.to_string()).increment(1);
                    histogram!("size", "value" => value.to_string()).record(1.0);
                    recorded[value] += 1.0;
                }
            }
            if round % 50 == 0 {
                std::thread::yield_now();
            }
        }
    });
    recorded
}
