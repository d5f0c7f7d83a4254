//! Series with open labels that expire or are removed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tower_prometheus::{
    Counter, Gauge, Histogram, InProgress, Registry, StateSet, catalogue, labels,
};

use test_support::lives::Lives;
use test_support::render_until_gone;

labels! {
    pub enum State { Idle = "idle", Busy = "busy" }
    pub struct Tenant { tenant: open(5) }
    pub struct Job { tenant: open(5), urgent: bool }
}

catalogue! {
    pub struct Service {
        /// Total number of jobs.
        pub jobs_total: Counter<Job>,
        /// Length of the queue.
        pub queue_length: Gauge<Tenant>,
        /// Duration of jobs in seconds.
        pub job_duration_seconds: Histogram<Tenant>,
        /// Number of jobs in progress.
        pub jobs_in_progress: InProgress<Tenant>,
        /// State of the worker of a tenant.
        pub worker_state: StateSet<State, Tenant>,
        /// Total number of starts.
        pub starts_total: Counter,
    }
}

const TENANT: &str = "tenant=\"a\"";

fn service(registry: &Registry) -> Service {
    Service::on(registry).unwrap()
}

fn expiring() -> Registry {
    let registry = Registry::builder().idle_timeout(Duration::from_millis(1));
    registry.build().unwrap()
}

fn job(tenant: &str) -> Job<&str> {
    Job {
        tenant,
        urgent: true,
    }
}

#[test]
fn series_with_open_labels_expire_and_return_from_0() {
    let registry = expiring();
    let service = service(&registry);
    let tenant = Tenant { tenant: "a" };
    service.starts_total.increment();
    let held = service.jobs_total.with(job("a"));
    for _ in 0..3 {
        held.add(2);
        service.jobs_total.with(job("a")).increment();
        service.job_duration_seconds.with(tenant).observe(0.5);
        service.queue_length.with(tenant).set(4.0);
        service.worker_state.with(tenant).set(State::Busy);
        assert_eq!(registry.sum("jobs_total", &[("urgent", "true")]), Some(3.0));
        assert_eq!(registry.sum("job_duration_seconds_count", &[]), Some(1.0));
        assert_eq!(registry.sum("queue_length", &[]), Some(4.0));
        assert_eq!(
            registry.sum("worker_state", &[("worker_state", "busy")]),
            Some(1.0)
        );
        let page = render_until_gone(&registry, TENANT);
        assert!(page.contains("starts_total 1\n"), "no open labels:\n{page}");
    }
}

#[test]
fn gauge_of_operations_in_progress_stays_until_they_end() {
    let registry = expiring();
    let service = service(&registry);
    let tenant = Tenant { tenant: "a" };
    let running = service.jobs_in_progress.with(tenant).start();
    service.queue_length.with(tenant).set(1.0);
    let _ = render_until_gone(&registry, "queue_length{");
    assert_eq!(registry.sum("jobs_in_progress", &[]), Some(1.0));
    drop(running);
    let _ = render_until_gone(&registry, TENANT);
    drop(service.jobs_in_progress.with(tenant).start());
    assert_eq!(registry.sum("jobs_in_progress", &[]), Some(0.0));
}

#[test]
fn guard_removes_a_gauge_at_once() {
    let registry = Registry::new();
    let service = service(&registry);
    let guard = |tenant| {
        service
            .queue_length
            .with(Tenant { tenant })
            .remove_on_drop()
    };
    let (first, second) = (guard("a"), guard("b"));
    first.set(1.0);
    second.set(2.0);
    drop(first);
    let lengths = |tenant| registry.sum("queue_length", &[("tenant", tenant)]);
    assert_eq!((lengths("a"), lengths("b")), (None, Some(2.0)));
    service.queue_length.with(Tenant { tenant: "a" }).set(5.0);
    assert_eq!(lengths("a"), Some(5.0));

    let state = service
        .worker_state
        .with(Tenant { tenant: "a" })
        .remove_on_drop();
    state.set(State::Busy);
    assert_eq!(registry.sum("worker_state", &[]), Some(1.0));
    drop(state);
    assert_eq!(registry.sum("worker_state", &[]), None);
}

#[test]
fn gauge_and_state_set_that_are_looked_up_again_have_their_first_value() {
    let registry = Registry::new();
    let service = service(&registry);
    let tenant = Tenant { tenant: "a" };
    let length = service.queue_length.with(tenant).remove_on_drop();
    length.set(3.0);
    let state = service.worker_state.with(tenant).remove_on_drop();
    state.set(State::Busy);
    drop((length, state));
    service.queue_length.with(tenant).increment();
    let _ = service.worker_state.with(tenant);
    let _ = registry.render();
    assert_eq!(registry.sum("queue_length", &[]), Some(1.0));
    let idle = [("worker_state", "idle")];
    assert_eq!(registry.sum("worker_state", &idle), Some(1.0));
}

#[test]
fn series_that_has_returned_without_a_place_can_be_removed() {
    let registry = expiring();
    let service = service(&registry);
    let kept = service.jobs_total.with(job("a"));
    kept.increment();
    let _ = render_until_gone(&registry, "tenant=");
    kept.increment();
    assert!(
        registry
            .render()
            .contains("tenant=\"a\",urgent=\"true\"} 1\n")
    );
    assert!(service.jobs_total.remove(job("a")));
}

#[test]
fn removed_counter_shows_its_last_value_once() {
    let registry = Registry::new();
    let service = service(&registry);
    service.jobs_total.with(job("a")).add(3);
    assert!(service.jobs_total.remove(job("a")));
    assert!(!service.jobs_total.remove(job("b")), "never registered");
    assert!(registry.render().contains("urgent=\"true\"} 3\n"));
    assert!(!registry.render().contains("urgent=\"true\"} 3\n"));
    assert_eq!(
        registry.remove("jobs_total", &[("tenant", "a"), ("urgent", "false")]),
        1
    );
    assert!(!service.starts_total.remove(()), "it has no labels");
    assert_eq!(registry.remove("starts_total", &[]), 0);
}

/// The tenants on the page of `jobs_total`, in the order of their names.
fn tenants(registry: &Registry) -> Vec<String> {
    let page = registry.render();
    let lines = page.lines().filter(|line| line.contains("urgent=\"true\""));
    lines
        .filter_map(|line| {
            Some(
                line.split_once("tenant=\"")?
                    .1
                    .split_once('"')?
                    .0
                    .to_owned(),
            )
        })
        .collect()
}

#[test]
fn values_of_expired_series_leave_their_place_to_others() {
    let registry = expiring();
    let service = service(&registry);
    for tenant in ["scan1", "scan2", "scan3", "scan4", "scan5", "acme"] {
        service.jobs_total.with(job(tenant)).increment();
    }
    let overflow = "metrics_label_overflow_total";
    assert_eq!(registry.sum(overflow, &[]), Some(1.0));
    assert_eq!(
        tenants(&registry),
        ["overflow", "scan1", "scan2", "scan3", "scan4", "scan5"]
    );
    let _ = render_until_gone(&registry, "tenant=");

    service.jobs_total.with(job("acme")).add(2);
    assert_eq!(tenants(&registry), ["acme"]);
    assert_eq!(registry.sum("jobs_total", &[("tenant", "acme")]), Some(2.0));
    assert_eq!(registry.sum(overflow, &[]), Some(1.0));
}

#[test]
fn value_that_returns_takes_a_place_again() {
    let registry = expiring();
    let service = service(&registry);
    service.jobs_total.with(job("a")).increment();
    let _ = render_until_gone(&registry, "tenant=");
    // This thread has the row of the expired series in its cache.
    for tenant in ["a", "1", "2", "3", "4", "5"] {
        service.jobs_total.with(job(tenant)).increment();
    }
    let overflow = [("tenant", "overflow"), ("urgent", "true")];
    assert_eq!(registry.sum("jobs_total", &overflow), Some(1.0));
}

#[test]
fn value_of_a_removed_series_leaves_its_place_to_others() {
    let registry = Registry::new();
    let service = service(&registry);
    for i in 0..20 {
        let tenant = format!("tenant{i}");
        let tenant = Tenant { tenant: &tenant };
        let length = service.queue_length.with(tenant).remove_on_drop();
        length.set(f64::from(i));
        assert_eq!(registry.sum("queue_length", &[]), Some(f64::from(i)));
    }
    assert_eq!(registry.sum("metrics_label_overflow_total", &[]), None);
}

#[test]
fn value_counts_until_the_series_of_all_closed_values_have_left() {
    let registry = expiring();
    let service = service(&registry);
    let with = |tenant, urgent| service.jobs_total.with(Job { tenant, urgent });
    for tenant in ["a", "b", "c", "d", "e"] {
        with(tenant, false).increment();
    }
    let live = with("a", true);
    loop {
        // Recorded since each page, without a look-up, which would take the place again.
        live.increment();
        let page = registry.render();
        if !["b", "c", "d", "e"]
            .iter()
            .any(|tenant| page.contains(&format!("tenant=\"{tenant}\"")))
        {
            break;
        }
    }
    live.increment();
    for tenant in ["1", "2", "3", "4", "5"] {
        with(tenant, false).increment();
    }
    let overflow = [("tenant", "overflow")];
    assert_eq!(registry.sum("jobs_total", &overflow), Some(1.0), "5 places");
}

#[test]
fn series_that_is_kept_returns_although_its_place_was_taken() {
    let registry = expiring();
    let service = service(&registry);
    let kept = service.jobs_total.with(job("kept"));
    kept.add(3);
    let _ = render_until_gone(&registry, "tenant=");
    for tenant in ["1", "2", "3", "4", "5"] {
        service.jobs_total.with(job(tenant)).increment();
    }
    kept.add(4);
    let kept_value = || registry.sum("jobs_total", &[("tenant", "kept"), ("urgent", "true")]);
    // It returns with a later page: the one that let it expire must be complete.
    let _ = registry.render();
    assert_eq!(kept_value(), Some(4.0));
    // A look-up needs a place, and all five are taken.
    service.jobs_total.with(job("kept")).increment();
    assert_eq!(kept_value(), Some(4.0));
    let overflow = [("tenant", "overflow"), ("urgent", "true")];
    assert_eq!(registry.sum("jobs_total", &overflow), Some(1.0));
}

#[test]
fn looked_up_series_is_exported_again_after_it_has_expired() {
    let registry = expiring();
    let service = service(&registry);
    let kept = service.jobs_total.with(job("a"));
    let _ = render_until_gone(&registry, "tenant=");
    let _ = service.jobs_total.with(job("a"));
    let _ = registry.render();
    assert_eq!(registry.sum("jobs_total", &[("tenant", "a")]), Some(0.0));
    // The series can expire again, and its place is free then.
    let _ = render_until_gone(&registry, "tenant=");
    for tenant in ["1", "2", "3", "4", "5"] {
        service.jobs_total.with(job(tenant)).increment();
    }
    assert_eq!(registry.sum("metrics_label_overflow_total", &[]), None);
    drop(kept);
}

#[test]
fn series_of_one_thread_is_the_same_in_others_after_it_has_expired() {
    let registry = expiring();
    let service = service(&registry);
    let (send, receive) = std::sync::mpsc::channel::<u64>();
    let (done, wait) = std::sync::mpsc::channel();
    let other = std::thread::spawn(move || {
        for n in receive {
            service.jobs_total.with(job("a")).add(n);
            done.send(()).unwrap();
        }
    });
    for n in 1..5 {
        // The other thread has the row of the life before in its cache.
        send.send(n).unwrap();
        wait.recv().unwrap();
        service.jobs_total.with(job("a")).add(10);
        let _ = registry.render();
        assert_eq!(
            registry.sum("jobs_total", &[("urgent", "true")]),
            Some(10.0 + n as f64)
        );
        let _ = render_until_gone(&registry, "tenant=");
    }
    drop(send);
    other.join().unwrap();
}

#[test]
fn totals_over_all_lives_are_what_was_recorded() {
    const THREADS: usize = 4;
    const ROUNDS: usize = 200_000;
    labels! { pub struct Many { tenant: open(100) } }
    catalogue! {
        pub struct Jobs {
            /// Total number of jobs.
            pub jobs_total: Counter<Many>,
        }
    }
    let registry = Registry::builder().idle_timeout(Duration::from_nanos(1));
    let registry = registry.build().unwrap();
    let jobs = Jobs::on(&registry).unwrap();
    let tenants: Vec<_> = (0..60).map(|i| format!("t{i}")).collect();
    let sent: Vec<_> = tenants.iter().map(|_| AtomicUsize::new(0)).collect();
    let running = AtomicUsize::new(THREADS);
    let mut lives = Lives::default();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (tenants, sent, running) = (&tenants, &sent, &running);
            scope.spawn(move || {
                let with = |i: usize| {
                    jobs.jobs_total.with(Many {
                        tenant: &*tenants[i],
                    })
                };
                // Kept for the whole test, while their series expire again and again.
                let kept: Vec<_> = (0..10).map(|i| (i * 5, with(i * 5))).collect();
                for round in 0..ROUNDS {
                    let random = round.wrapping_mul(0x9E37_79B9).wrapping_add(thread * 77) >> 7;
                    let n = 1 + random % 3;
                    let i = match random % 4 {
                        0 => {
                            let (i, kept) = &kept[random / 4 % kept.len()];
                            kept.add(n as u64);
                            *i
                        }
                        _ => {
                            let i = random / 4 % tenants.len();
                            with(i).add(n as u64);
                            i
                        }
                    };
                    sent[i].fetch_add(n, Ordering::Relaxed);
                    if round % 64 == 0 {
                        std::thread::yield_now();
                    }
                }
                running.fetch_sub(1, Ordering::Release);
            });
        }
        while running.load(Ordering::Acquire) > 0 {
            lives.read(&registry.render());
        }
    });
    for _ in 0..5 {
        lives.read(&registry.render());
    }
    assert_eq!(registry.sum("metrics_label_overflow_total", &[]), None);
    for (tenant, sent) in tenants.iter().zip(&sent) {
        let total = lives.total("jobs_total", &format!("tenant=\"{tenant}\""));
        assert_eq!(total, sent.load(Ordering::Relaxed) as f64, "{tenant}");
    }
    assert!(lives.ended() > 2 * tenants.len(), "{} lives", lives.ended());
}
