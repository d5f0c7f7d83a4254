//! Series with open labels that expire or are removed.

use std::time::Duration;

use tower_prometheus::{
    Counter, Gauge, Histogram, InProgress, Registry, StateSet, catalogue, labels,
};

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
