//! Operations are recorded exactly once, with all their metrics, however they end.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use futures_util::{FutureExt, StreamExt, stream};
use tower_prometheus::custom::{OperationEnd, OperationGuard};
use tower_prometheus::{
    Counter, Histogram, InProgress, Operation, Registry, catalogue, custom::Outcome, labels,
};

labels! {
    pub enum Cache { Hit = "hit", Miss = "miss" }
    pub struct Call { model: open(5), cache: Cache, status: Outcome }
    pub struct Model { model: open(5) }
    pub struct Failure { error_type: open(5), component: open(5) }
}

catalogue! {
    #[prefix = "llm_"]
    pub struct Llm {
        /// Calls that ended.
        pub calls_total: Counter<Call>,
        /// Duration of calls in seconds.
        pub call_duration_seconds: Histogram<Model>,
        /// Calls in progress.
        pub calls_in_progress: InProgress<Model>,
        /// Errors.
        pub errors_total: Counter<Failure>,
    }
}

struct Values {
    model: &'static str,
    cache: Cache,
}

impl Llm {
    fn call(
        self,
        model: &'static str,
    ) -> Operation<Values, impl FnOnce(&OperationEnd<'_, Values>)> {
        Operation::with(Values {
            model,
            cache: Cache::Miss,
        })
        .in_progress(self.calls_in_progress.with(Model { model }))
        .duration(move |end| {
            self.call_duration_seconds.with(Model {
                model: end.labels.model,
            })
        })
        .count(move |end| {
            let Values { model, cache } = *end.labels;
            self.calls_total.with(Call {
                model,
                cache,
                status: end.outcome,
            })
        })
        .errors(move |_, error_type| {
            self.errors_total.with(Failure {
                error_type,
                component: "llm",
            })
        })
    }
}

fn panic_with_result(message: &'static str) -> Result<(), ()> {
    std::panic::resume_unwind(Box::new(message))
}

struct Recorded(Registry);

impl Recorded {
    fn new() -> (Self, Llm) {
        let registry = Registry::new();
        let llm = Llm::on(&registry).unwrap();
        (Self(registry), llm)
    }

    fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.0.sum(name, labels).unwrap_or(0.0)
    }

    fn in_progress(&self) -> f64 {
        self.value("llm_calls_in_progress", &[])
    }

    /// Asserts that `operations` have ended, `count` of them with `status`, and that none is in progress.
    #[track_caller]
    fn assert_ended(&self, operations: u32, status: &str, count: u32) {
        let total = f64::from(operations);
        assert_eq!(self.in_progress(), 0.0, "in progress");
        assert_eq!(self.value("llm_calls_total", &[]), total, "calls");
        assert_eq!(
            self.value("llm_call_duration_seconds_count", &[]),
            total,
            "durations"
        );
        let ended = self.value("llm_calls_total", &[("status", status)]);
        assert_eq!(ended, f64::from(count), "{status}");
    }
}

#[tokio::test]
async fn future_is_recorded_by_its_result() {
    let (recorded, llm) = Recorded::new();
    let during = llm
        .call("a")
        .run(async { Ok::<_, ()>(recorded.in_progress()) })
        .await;
    assert_eq!(during, Ok(1.0));
    recorded.assert_ended(1, "success", 1);

    let error = llm
        .call("a")
        .run(async { Err::<(), _>(io::Error::other("x")) })
        .await;
    assert_eq!(error.unwrap_err().to_string(), "x");
    recorded.assert_ended(2, "error", 1);
    let labels = [("error_type", "Error"), ("component", "llm")];
    assert_eq!(recorded.value("llm_errors_total", &labels), 1.0);

    let boxed = async { Err::<(), Box<dyn std::error::Error>>("x".into()) };
    llm.call("a").run(boxed).await.unwrap_err();
    assert_eq!(
        recorded.value("llm_errors_total", &[("error_type", "Box")]),
        1.0
    );
}

#[tokio::test]
async fn dropped_future_is_cancelled() {
    let (recorded, llm) = Recorded::new();
    let mut polled = Box::pin(llm.call("a").run(std::future::pending::<Result<(), ()>>()));
    assert!(polled.as_mut().now_or_never().is_none());
    assert_eq!(recorded.in_progress(), 1.0);
    drop(polled);
    recorded.assert_ended(1, "cancelled", 1);
    // The operation started, although its future was never polled.
    drop(llm.call("a").run(std::future::pending::<Result<(), ()>>()));
    recorded.assert_ended(2, "cancelled", 2);

    tokio::select! {
        biased;
        _ = llm.call("a").run(std::future::pending::<Result<(), ()>>()) => {}
        () = tokio::task::yield_now() => {}
    }
    recorded.assert_ended(3, "cancelled", 3);
}

#[tokio::test]
async fn result_callback_runs_before_the_operation_is_recorded() {
    let (recorded, llm) = Recorded::new();
    let work = async { Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut)) };
    let ended = llm.call("a").run_with(work, |call, result| {
        call.cache = Cache::Hit;
        match result {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => call.set_error("TimedOut"),
            _ => {}
        }
        assert_eq!(recorded.in_progress(), 1.0);
        assert_eq!(recorded.value("llm_calls_total", &[]), 0.0);
    });
    assert_eq!(ended.await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    recorded.assert_ended(1, "error", 1);
    assert_eq!(recorded.value("llm_calls_total", &[("cache", "hit")]), 1.0);
    let labels = [("error_type", "TimedOut"), ("component", "llm")];
    assert_eq!(recorded.value("llm_errors_total", &labels), 1.0);
    assert_eq!(recorded.value("llm_errors_total", &[]), 1.0, "once");
}

#[tokio::test]
async fn future_of_any_type_is_a_success_once_it_completes() {
    let (recorded, llm) = Recorded::new();
    let work = async { recorded.in_progress() };
    assert_eq!(llm.call("a").run_infallible(work).await, 1.0);
    recorded.assert_ended(1, "success", 1);

    drop(llm.call("a").run_infallible(std::future::pending::<u8>()));
    recorded.assert_ended(2, "cancelled", 1);

    let panics = async { panic_with_result("no").is_ok() };
    let caught = AssertUnwindSafe(llm.call("a").run_infallible(panics));
    caught.catch_unwind().await.unwrap_err();
    recorded.assert_ended(3, "panicked", 1);
}

#[tokio::test]
async fn output_of_any_type_can_set_outcome_and_labels() {
    let (recorded, llm) = Recorded::new();
    let found = llm
        .call("a")
        .run_output(async { None::<u8> }, |call, found| {
            call.cache = Cache::Hit;
            if found.is_none() {
                call.set_error("missing");
            }
            assert_eq!(recorded.in_progress(), 1.0);
        });
    assert_eq!(found.await, None);
    recorded.assert_ended(1, "error", 1);
    assert_eq!(recorded.value("llm_calls_total", &[("cache", "hit")]), 1.0);
    let missing = [("error_type", "missing")];
    assert_eq!(recorded.value("llm_errors_total", &missing), 1.0);

    let counted = llm.call("a").run_output(async { 7 }, |_, _| {});
    assert_eq!(counted.await, 7);
    recorded.assert_ended(2, "success", 1);
}

/// The callback does not run for a cancelled or a panicked operation. If the callback panics, the operation is
/// recorded as panicked.
#[tokio::test]
async fn result_callback_runs_only_if_the_future_finished() {
    let (recorded, llm) = Recorded::new();
    let never =
        |_: &mut OperationGuard<_, _>, _: &Result<(), ()>| panic!("the future did not finish");
    drop(llm.call("a").run_with(std::future::pending(), never));
    recorded.assert_ended(1, "cancelled", 1);
    let work = llm
        .call("a")
        .run_with(async { panic_with_result("no") }, never);
    let caught = AssertUnwindSafe(work).catch_unwind().await;
    assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"no"));
    recorded.assert_ended(2, "panicked", 1);

    let panicking_callback = |_: &mut OperationGuard<_, _>, _: &Result<(), ()>| {
        panic_with_result("in the callback").unwrap_or_default();
    };
    let work = llm.call("a").run_with(async { Ok(()) }, panicking_callback);
    let caught = AssertUnwindSafe(work).catch_unwind().await;
    assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"in the callback"));
    recorded.assert_ended(3, "panicked", 2);
}

#[tokio::test]
async fn panic_in_a_future_is_counted_at_once_and_propagates() {
    let (recorded, llm) = Recorded::new();
    let mut work = Box::pin(llm.call("a").run(async {
        tokio::task::yield_now().await;
        panic!("no");
        #[expect(unreachable_code, reason = "it has to have a type")]
        Ok::<(), ()>(())
    }));
    assert!(work.as_mut().now_or_never().is_none());
    let caught = catch_unwind(AssertUnwindSafe(|| work.as_mut().now_or_never()));
    caught.unwrap_err();
    // The operation has ended; dropping the future records nothing more.
    recorded.assert_ended(1, "panicked", 1);
    drop(work);
    recorded.assert_ended(1, "panicked", 1);

    let spawned = llm.call("a").run(async { panic_with_result("no") });
    let spawned = tokio::spawn(spawned);
    assert!(spawned.await.unwrap_err().is_panic());
    recorded.assert_ended(2, "panicked", 2);
}

#[test]
fn future_dropped_by_the_unwinding_of_another_panic_is_cancelled() {
    let (recorded, llm) = Recorded::new();
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _work = llm.call("a").run(std::future::pending::<Result<(), ()>>());
        panic!("elsewhere");
    }));
    caught.unwrap_err();
    recorded.assert_ended(1, "cancelled", 1);
}

#[test]
fn in_scope_is_recorded_by_its_result_and_can_set_labels() {
    let (recorded, llm) = Recorded::new();
    let result = llm.call("a").in_scope(|call| {
        call.cache = Cache::Hit;
        Ok::<_, ()>(recorded.in_progress())
    });
    assert_eq!(result, Ok(1.0));
    recorded.assert_ended(1, "success", 1);
    assert_eq!(recorded.value("llm_calls_total", &[("cache", "hit")]), 1.0);

    llm.call("a")
        .in_scope(|_| Err::<(), _>(std::fmt::Error))
        .unwrap_err();
    recorded.assert_ended(2, "error", 1);

    let caught = catch_unwind(AssertUnwindSafe(|| {
        llm.call("a")
            .in_scope(|_| -> Result<(), ()> { panic!("no") })
    }));
    caught.unwrap_err().downcast_ref::<&str>().unwrap();
    recorded.assert_ended(3, "panicked", 1);
}

#[test]
fn guard_is_recorded_by_the_method_that_ends_it() {
    let (recorded, llm) = Recorded::new();
    llm.call("a").start().success();
    recorded.assert_ended(1, "success", 1);
    llm.call("a").start().error(&std::fmt::Error);
    recorded.assert_ended(2, "error", 1);
    llm.call("a").start().finish(&Ok::<_, ()>(()));
    recorded.assert_ended(3, "success", 2);

    drop(llm.call("a").start());
    recorded.assert_ended(4, "cancelled", 1);
    let mut call = llm.call("a").start();
    call.set_error("refused");
    drop(call);
    recorded.assert_ended(5, "error", 2);
    assert_eq!(
        recorded.value("llm_errors_total", &[("error_type", "refused")]),
        1.0
    );
    let mut call = llm.call("a").start();
    call.set_error("refused");
    // The last call decides: the operation succeeded, and no error is counted.
    call.success();
    recorded.assert_ended(6, "success", 3);
    assert_eq!(recorded.value("llm_errors_total", &[]), 2.0);

    llm.call("a").start().discard();
    recorded.assert_ended(6, "success", 3);
}

/// A destructor that runs while its thread unwinds may start operations. The panic is not theirs.
#[test]
fn operation_in_a_destructor_is_not_panicked_because_its_thread_unwinds() {
    struct Cleanup(Llm);
    impl Drop for Cleanup {
        fn drop(&mut self) {
            let _ = self.0.call("a").in_scope(|_| Ok::<_, ()>(()));
            drop(self.0.call("a").start());
        }
    }
    let (recorded, llm) = Recorded::new();
    let caught = catch_unwind(|| {
        let _cleanup = Cleanup(llm);
        panic!("elsewhere");
    });
    caught.unwrap_err();
    recorded.assert_ended(2, "success", 1);
    recorded.assert_ended(2, "cancelled", 1);
}

#[test]
fn stop_clock_ends_the_duration_but_not_the_operation() {
    let (recorded, llm) = Recorded::new();
    let mut call = llm.call("a").start();
    call.stop_clock();
    let stopped = call.elapsed();
    // Wait, without a sleep, until clearly more time has passed than when the clock stopped.
    while call.elapsed() < stopped + Duration::from_millis(20) {
        std::thread::yield_now();
    }
    call.stop_clock();
    assert_eq!(recorded.in_progress(), 1.0);
    call.success();
    let seconds = recorded.value("llm_call_duration_seconds_sum", &[]);
    assert!(seconds <= stopped.as_secs_f64(), "{seconds}");
}

#[cfg(feature = "stream")]
#[tokio::test]
async fn stream_is_recorded_when_it_ends_fails_panics_or_is_dropped() {
    let (recorded, llm) = Recorded::new();
    let items = || stream::iter([Ok::<_, io::Error>(1), Ok(2)]);
    let mut seen = 0;
    let on_item = |call: &mut OperationGuard<Values, _>, item: &Result<i32, io::Error>| {
        seen += item.as_ref().unwrap();
        call.cache = Cache::Hit;
        call.stop_clock();
    };
    let all: Vec<_> = llm.call("a").stream(items(), on_item).collect().await;
    assert_eq!((all.len(), seen), (2, 3));
    recorded.assert_ended(1, "success", 1);
    assert_eq!(recorded.value("llm_calls_total", &[("cache", "hit")]), 1.0);

    let mut partly = llm.call("a").stream(items(), |_, _| {});
    partly.next().await.unwrap().unwrap();
    assert_eq!(recorded.in_progress(), 1.0);
    drop(partly);
    recorded.assert_ended(2, "cancelled", 1);

    let failing = stream::iter([Err(io::Error::other("x")), Ok(1)]);
    let _: Vec<_> = llm.call("a").stream(failing, |_, _| {}).collect().await;
    recorded.assert_ended(3, "error", 1);
    assert_eq!(
        recorded.value("llm_errors_total", &[("error_type", "Error")]),
        1.0
    );

    let panicking = stream::iter([1]).map(|_| -> Result<(), ()> { panic!("no") });
    let mut panicking = llm.call("a").stream(panicking, |_, _| {});
    let caught = catch_unwind(AssertUnwindSafe(|| panicking.next().now_or_never()));
    caught.unwrap_err();
    recorded.assert_ended(4, "panicked", 1);
    drop(panicking);
    recorded.assert_ended(4, "panicked", 1);

    drop(
        llm.call("a")
            .stream(stream::pending::<Result<(), ()>>(), |_, _| {}),
    );
    recorded.assert_ended(5, "cancelled", 2);
}

/// The status values are the application's own, and one operation updates several metrics with different labels.
#[test]
fn application_chooses_metrics_and_label_values() {
    labels! {
        pub enum Status("status") { Good = "200", Bad = "500" }
        pub enum Direction("direction") { Input = "input", Output = "output" }
    }
    impl From<Outcome> for Status {
        fn from(outcome: Outcome) -> Self {
            match outcome {
                Outcome::Success => Self::Good,
                _ => Self::Bad,
            }
        }
    }
    catalogue! {
        pub struct Agents {
            /// Requests.
            pub requests_total: Counter<Status>,
            /// Duration of requests in seconds, by status.
            pub request_seconds: Histogram<Status>,
            /// Tokens.
            pub tokens_total: Counter<Direction>,
        }
    }
    let registry = Registry::new();
    let agents = Agents::on(&registry).unwrap();
    let request = || {
        Operation::with((3, 5))
            .duration(|end| agents.request_seconds.with(Status::from(end.outcome)))
            .count(|end| agents.requests_total.with(Status::from(end.outcome)))
            .on_end(|end| {
                agents.tokens_total.with(Direction::Input).add(end.labels.0);
                agents
                    .tokens_total
                    .with(Direction::Output)
                    .add(end.labels.1);
            })
    };
    let mut first = request().start();
    first.1 = 50;
    first.success();
    drop(request().start());
    let value = |name, labels| registry.sum(name, &[labels]);
    assert_eq!(value("requests_total", ("status", "200")), Some(1.0));
    assert_eq!(value("requests_total", ("status", "500")), Some(1.0));
    assert_eq!(value("request_seconds_count", ("status", "500")), Some(1.0));
    assert_eq!(value("tokens_total", ("direction", "input")), Some(6.0));
    assert_eq!(value("tokens_total", ("direction", "output")), Some(55.0));
}

#[derive(Clone, Copy, Debug)]
enum End {
    Success,
    Error,
    Drop,
    Panic,
    Discard,
}

const ENDS: [End; 5] = [
    End::Success,
    End::Error,
    End::Drop,
    End::Panic,
    End::Discard,
];

/// Starts an operation for each of `ends`, up to `parallel` at the same time. Ends them in a different order than
/// they started, and drops those that are left.
fn assert_each_recorded_once(ends: &[End], parallel: usize) {
    let (recorded, llm) = Recorded::new();
    let mut running = Vec::new();
    let mut counts = [0_u32; 5];
    for (i, end) in ends.iter().enumerate() {
        running.push(llm.call("a").start());
        if running.len() < parallel {
            continue;
        }
        let operation = running.swap_remove(i % parallel);
        counts[*end as usize] += 1;
        match end {
            End::Success => operation.success(),
            End::Error => operation.error(&io::Error::other("x")),
            End::Drop => drop(operation),
            End::Panic => {
                // `resume_unwind` prints no message.
                let panicked = catch_unwind(AssertUnwindSafe(|| {
                    let _operation = operation;
                    std::panic::resume_unwind(Box::new(()));
                }));
                assert!(panicked.is_err());
            }
            End::Discard => operation.discard(),
        }
    }
    let context = format!("{ends:?}, {parallel} in parallel");
    assert_eq!(recorded.in_progress(), running.len() as f64, "{context}");
    counts[End::Drop as usize] += running.len() as u32;
    drop(running);
    let [success, error, cancelled, panicked, _] = counts;
    let total = success + error + cancelled + panicked;
    for (status, count) in [
        ("success", success),
        ("error", error),
        ("cancelled", cancelled),
        ("panicked", panicked),
    ] {
        recorded.assert_ended(total, status, count);
    }
    let errors = recorded.value("llm_errors_total", &[]);
    assert_eq!(errors, f64::from(error), "{context}");
}

/// Every sequence of up to four ends, with every number of operations in progress at a time.
#[test]
fn operations_are_recorded_once_in_every_order_of_ends() {
    for length in 1..=4 {
        for sequence in 0..ENDS.len().pow(length) {
            let end = |i| ENDS[sequence / ENDS.len().pow(i) % ENDS.len()];
            let ends: Vec<End> = (0..length).map(end).collect();
            for parallel in 1..=4 {
                assert_each_recorded_once(&ends, parallel);
            }
        }
    }
}

/// Longer sequences, from a fixed seed.
#[test]
fn operations_are_recorded_once_in_long_sequences() {
    let mut state = 1_u64;
    // Knuth's MMIX generator; its high bits are the random ones.
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for _ in 0..300 {
        let ends: Vec<End> = (0..5 + random(35)).map(|_| ENDS[random(5)]).collect();
        assert_each_recorded_once(&ends, 1 + random(5));
    }
}
