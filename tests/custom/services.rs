//! Calls of a Tower service that is not HTTP are recorded exactly once, however they end.

use std::convert::Infallible;
use std::fmt;
use std::future::{Pending, Ready, pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_util::FutureExt;
use test_support::wait_until;
use tokio::sync::Barrier;
use tower::util::BoxCloneService;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_prometheus::custom::{OperationEnd, OperationLayer, OperationService, Outcome};
use tower_prometheus::{Counter, Histogram, InProgress, Operation, Registry, catalogue, labels};

labels! {
    pub enum Kind("kind") { Email = "email", Report = "report" }
    pub enum Status { Done = "done", Refused = "refused", Failed = "failed", Gone = "gone" }
    pub struct Ended { kind: Kind, outcome: Outcome }
    pub struct Answered { status: Status }
    pub struct Failure { error_type: open(5) }
}

catalogue! {
    pub struct Jobs {
        /// Total number of jobs, by kind and outcome.
        pub jobs_total: Counter<Ended>,
        /// Total number of jobs, by status.
        pub answers_total: Counter<Answered>,
        /// Total number of failed jobs, by error type.
        pub job_errors_total: Counter<Failure>,
        /// Duration of jobs in seconds.
        pub job_duration_seconds: Histogram<Kind>,
        /// Number of jobs in progress.
        pub jobs_in_progress: InProgress<Kind>,
    }
}

/// Not `Clone`, so that the layer cannot keep a copy.
#[derive(Debug)]
struct Job(Kind);

#[derive(Debug, PartialEq)]
struct Unreachable;

impl Jobs {
    fn operation(
        self,
        Job(kind): &Job,
    ) -> Operation<(), impl FnOnce(&OperationEnd<'_, ()>) + use<>> {
        let kind = *kind;
        Operation::new()
            .in_progress(self.jobs_in_progress.with(kind))
            .duration(move |_| self.job_duration_seconds.with(kind))
            .count(move |end| {
                let outcome = end.outcome;
                self.jobs_total.with(Ended { kind, outcome })
            })
            .errors(move |_, error_type| self.job_errors_total.with(Failure { error_type }))
    }
}

struct Recorded(Registry);

impl Recorded {
    fn new() -> (Self, Jobs) {
        let registry = Registry::new();
        let jobs = Jobs::on(&registry).unwrap();
        (Self(registry), jobs)
    }

    fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.0.sum(name, labels).unwrap_or(0.0)
    }

    fn in_progress(&self) -> f64 {
        self.value("jobs_in_progress", &[])
    }

    /// Asserts that `calls` have ended, `count` of them with `outcome`, and that none is in progress.
    #[track_caller]
    fn assert_ended(&self, calls: u32, outcome: &str, count: u32) {
        let total = f64::from(calls);
        assert_eq!(self.in_progress(), 0.0, "in progress");
        assert_eq!(self.value("jobs_total", &[]), total, "calls");
        let durations = self.value("job_duration_seconds_count", &[]);
        assert_eq!(durations, total, "durations");
        let ended = self.value("jobs_total", &[("outcome", outcome)]);
        assert_eq!(ended, f64::from(count), "{outcome}");
    }
}

#[tokio::test]
async fn call_is_counted_and_timed_by_its_outcome_and_by_labels_of_the_request() {
    let (recorded, jobs) = Recorded::new();
    let registry = &recorded.0;
    let mut service = ServiceBuilder::new()
        .layer(OperationLayer::new(move |job: &Job| jobs.operation(job)))
        .service(service_fn(async |Job(kind)| {
            let running = registry.sum("jobs_in_progress", &[("kind", kind.as_str())]);
            assert_eq!(running, Some(1.0));
            match kind {
                Kind::Email => Ok("sent"),
                Kind::Report => Err(Unreachable),
            }
        }));
    let sent = service.ready().await.unwrap().call(Job(Kind::Email)).await;
    assert_eq!(sent, Ok("sent"));
    recorded.assert_ended(1, "success", 1);
    let failed = service.ready().await.unwrap().call(Job(Kind::Report)).await;
    assert_eq!(failed, Err(Unreachable));
    recorded.assert_ended(2, "error", 1);
    let labels = [("kind", "report"), ("outcome", "error")];
    assert_eq!(recorded.value("jobs_total", &labels), 1.0);
    let failure = [("error_type", "Unreachable")];
    assert_eq!(recorded.value("job_errors_total", &failure), 1.0);
}

#[test]
fn call_ends_when_its_future_completes_not_when_it_is_dropped() {
    let (recorded, jobs) = Recorded::new();
    let works = service_fn(|_: Job| ready(Ok::<_, Unreachable>(())));
    let mut service = OperationLayer::new(move |job: &Job| jobs.operation(job)).layer(works);
    let mut call = Box::pin(service.call(Job(Kind::Email)));
    assert_eq!(call.as_mut().now_or_never(), Some(Ok(())));
    recorded.assert_ended(1, "success", 1);
    drop(call);
    recorded.assert_ended(1, "success", 1);
}

#[tokio::test]
async fn call_whose_future_is_dropped_is_cancelled() {
    let (recorded, jobs) = Recorded::new();
    let never = service_fn(|_: Job| pending::<Result<(), Unreachable>>());
    let mut service = OperationLayer::new(move |job: &Job| jobs.operation(job)).layer(never);
    let mut polled = service.call(Job(Kind::Email)).boxed();
    assert!(polled.as_mut().now_or_never().is_none());
    assert_eq!(recorded.in_progress(), 1.0);
    drop(polled);
    recorded.assert_ended(1, "cancelled", 1);
    // The call was made, although its future was never polled.
    drop(service.call(Job(Kind::Email)));
    recorded.assert_ended(2, "cancelled", 2);
}

#[test]
fn call_dropped_by_the_unwinding_of_another_panic_is_cancelled() {
    let (recorded, jobs) = Recorded::new();
    let never = service_fn(|_: Job| pending::<Result<(), Unreachable>>());
    let mut service = OperationLayer::new(move |job: &Job| jobs.operation(job)).layer(never);
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _call = service.call(Job(Kind::Email));
        panic!("elsewhere");
    }));
    caught.unwrap_err();
    recorded.assert_ended(1, "cancelled", 1);
}

#[test]
fn panic_in_call_is_counted_and_propagates() {
    let (recorded, jobs) = Recorded::new();
    let panics = service_fn(|_: Job| -> Ready<Result<(), Unreachable>> { panic!("in call") });
    let mut service = OperationLayer::new(move |job: &Job| jobs.operation(job)).layer(panics);
    let caught = catch_unwind(AssertUnwindSafe(|| service.call(Job(Kind::Email))));
    assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"in call"));
    recorded.assert_ended(1, "panicked", 1);
}

#[test]
fn panic_in_poll_is_counted_once_and_propagates() {
    let (recorded, jobs) = Recorded::new();
    let panics = service_fn(async |_: Job| -> Result<(), Unreachable> { panic!("in poll") });
    let mut service = OperationLayer::new(move |job: &Job| jobs.operation(job)).layer(panics);
    let mut call = Box::pin(service.call(Job(Kind::Email)));
    let caught = catch_unwind(AssertUnwindSafe(|| call.as_mut().now_or_never()));
    assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"in poll"));
    recorded.assert_ended(1, "panicked", 1);
    drop(call);
    recorded.assert_ended(1, "panicked", 1);
}

#[tokio::test]
async fn response_that_reports_an_error_can_set_outcome_labels_and_error_type() {
    let (recorded, jobs) = Recorded::new();
    let start = move |_: &Job| {
        Operation::with(Status::Gone)
            .count(move |end| {
                let status = *end.labels;
                jobs.answers_total.with(Answered { status })
            })
            .errors(move |_, error_type| jobs.job_errors_total.with(Failure { error_type }))
    };
    let layer = OperationLayer::new(start).on_result(|operation, result| {
        **operation = match result {
            Ok(true) => Status::Done,
            Ok(false) => Status::Refused,
            Err(Unreachable) => Status::Failed,
        };
        if let Ok(false) = result {
            operation.set_error("refused");
        }
    });
    let mut service = layer.layer(service_fn(async |Job(kind)| match kind {
        Kind::Email => Ok(true),
        Kind::Report => Ok(false),
    }));
    let status = |status| recorded.value("answers_total", &[("status", status)]);
    assert_eq!(service.call(Job(Kind::Email)).await, Ok(true));
    assert_eq!(recorded.value("job_errors_total", &[]), 0.0);
    assert_eq!(service.call(Job(Kind::Report)).await, Ok(false));
    assert_eq!((status("done"), status("refused")), (1.0, 1.0));
    let refused = [("error_type", "refused")];
    assert_eq!(recorded.value("job_errors_total", &refused), 1.0);

    // The same layer around a service that fails: the error type is the type's name, unless the closure sets another.
    let mut failing = layer.layer(service_fn(async |_: Job| Err(Unreachable)));
    assert_eq!(failing.call(Job(Kind::Email)).await, Err(Unreachable));
    let failed = [("error_type", "Unreachable")];
    assert_eq!(recorded.value("job_errors_total", &failed), 1.0);
    // The closure does not run for a cancelled call: it keeps the label that it started with.
    drop(service.call(Job(Kind::Email)));
    assert_eq!((status("failed"), status("gone")), (1.0, 1.0));
}

/// A service that is ready once for each permit, and then fails.
struct Limited {
    permits: u32,
}

impl Service<Job> for Limited {
    type Response = ();
    type Error = Unreachable;
    type Future = Ready<Result<(), Unreachable>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Unreachable>> {
        match self.permits {
            0 => Poll::Ready(Err(Unreachable)),
            1 => Poll::Pending,
            _ => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, _: Job) -> Self::Future {
        self.permits -= 1;
        ready(Ok(()))
    }
}

/// The inner service decides when it is ready. Waiting for it, and its errors, are not recorded.
#[test]
fn poll_ready_is_forwarded_and_its_errors_are_not_counted() {
    let (recorded, jobs) = Recorded::new();
    let start = move |job: &Job| jobs.operation(job);
    let observe = |_: &mut _, _: &Result<(), Unreachable>| {};
    let layer = OperationLayer::new(start);
    let cx = &mut Context::from_waker(Waker::noop());

    let mut service = layer.layer(Limited { permits: 2 });
    assert_eq!(service.poll_ready(cx), Poll::Ready(Ok(())));
    assert!(service.call(Job(Kind::Email)).now_or_never().is_some());
    assert_eq!(service.poll_ready(cx), Poll::Pending);
    recorded.assert_ended(1, "success", 1);
    let mut closed = layer.layer(Limited { permits: 0 });
    assert_eq!(closed.poll_ready(cx), Poll::Ready(Err(Unreachable)));

    let layer = layer.on_result(observe);
    assert_eq!(
        layer.layer(Limited { permits: 1 }).poll_ready(cx),
        Poll::Pending
    );
    let mut closed = layer.layer(Limited { permits: 0 });
    assert_eq!(closed.poll_ready(cx), Poll::Ready(Err(Unreachable)));
    recorded.assert_ended(1, "error", 0);
}

#[tokio::test]
async fn clones_of_a_service_record_into_the_same_series() {
    let (recorded, jobs) = Recorded::new();
    // All calls wait until the last one has started.
    let barrier = Arc::new(Barrier::new(11));
    let started = Arc::clone(&barrier);
    let service = ServiceBuilder::new()
        .layer(OperationLayer::new(move |job: &Job| jobs.operation(job)))
        .service_fn(move |_: Job| {
            let started = Arc::clone(&started);
            async move { Ok::<_, Infallible>(started.wait().await) }
        });
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..10 {
        calls.spawn(service.clone().oneshot(Job(Kind::Report)));
    }
    wait_until("all calls have started", || recorded.in_progress() == 10.0).await;
    barrier.wait().await;
    calls.join_all().await;
    recorded.assert_ended(10, "success", 10);
}

#[tokio::test]
async fn boxed_service_can_be_kept_in_a_struct() {
    struct Worker {
        jobs: BoxCloneService<Job, (), Unreachable>,
    }
    let (recorded, jobs) = Recorded::new();
    let works = service_fn(|_: Job| ready(Ok::<_, Unreachable>(())));
    let layer = OperationLayer::new(move |job: &Job| jobs.operation(job));
    let worker = Worker {
        jobs: BoxCloneService::new(layer.layer(works)),
    };
    let done = worker.jobs.clone().oneshot(Job(Kind::Email)).await;
    assert_eq!(done, Ok(()));
    recorded.assert_ended(1, "success", 1);
}

/// No `Send`, `Sync`, `Clone` or `'static` is required of the service, the request, the response or the error.
#[test]
fn layer_requires_nothing_of_the_service() {
    struct Local<'a>(&'a str, std::rc::Rc<()>);
    let (recorded, jobs) = Recorded::new();
    let name = String::from("ada");
    let mut service = OperationLayer::new(move |_: &Local<'_>| jobs.operation(&Job(Kind::Email)))
        .layer(service_fn(|local: Local<'_>| ready(Err::<(), _>(local.1))));
    let request = Local(&name, std::rc::Rc::new(()));
    assert_eq!(request.0, "ada");
    service.call(request).now_or_never().unwrap().unwrap_err();
    recorded.assert_ended(1, "error", 1);
}

/// The types can be shared and printed, although closures cannot be printed.
#[test]
fn types_are_send_sync_copy_and_debug() {
    fn assert_traits<T: Send + Sync + Copy + fmt::Debug>(_: &T) {}
    let (_, jobs) = Recorded::new();
    let layer = OperationLayer::new(move |job: &Job| jobs.operation(job));
    assert_traits(&layer);
    let service: OperationService<u8, _> = layer.layer(7);
    assert_traits(&service);
    assert_eq!(format!("{layer:?}"), "OperationLayer { .. }");
    assert_eq!(format!("{service:?}"), "OperationService { inner: 7, .. }");
    let never = service_fn(|_: Job| -> Pending<Result<(), Unreachable>> { pending() });
    let call = layer.layer(never).call(Job(Kind::Email));
    assert_eq!(format!("{call:?}"), "OperationFuture { .. }");
}
