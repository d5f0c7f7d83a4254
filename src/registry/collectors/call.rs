//! [`CollectorCall`]: one call of a collector, driven by all scrapes that wait for it.
//!
//! No task is spawned. When a scrape is polled, it also polls the collector's future, if the future was woken.
//! Waking the future wakes all scrapes that wait for it, so the call continues as long as one of them
//! remains.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, TryLockError};
use std::task::{Context, Poll, Wake, Waker};

use tokio::time::Instant;

use crate::budget::Budget;
use crate::collect::CollectError;
use crate::collect::checked::{CheckedFamily, Checker};
use crate::collect::deadline::Deadline;
use crate::collect::samples::Samples;
use crate::sync::lock;

/// The collector calls of one scrape run, in the order of registration.
pub(crate) type CollectorCalls = Vec<Arc<CollectorCall>>;

/// A running call of a collector.
pub(crate) type CollectFuture = Pin<Box<dyn Future<Output = Result<Samples, CollectError>> + Send>>;

/// The result of a call.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) collector: Arc<str>,
    pub(crate) seconds: f64,
    /// The families, or the reason of the failure.
    pub(crate) families: Result<Vec<Arc<CheckedFamily>>, String>,
}

/// One call of a collector. If the last scrape that waits for it is dropped, the call is cancelled.
pub(crate) struct CollectorCall {
    collector: Arc<str>,
    constant_labels: Arc<[(String, String)]>,
    started: Instant,
    deadline: Deadline,
    /// `None` after the call has ended.
    future: Mutex<Option<CollectFuture>>,
    waker: Arc<SharedWaker>,
    report: OnceLock<Arc<Report>>,
}

impl CollectorCall {
    pub(crate) fn new(
        collector: Arc<str>,
        constant_labels: Arc<[(String, String)]>,
        deadline: Deadline,
        future: CollectFuture,
    ) -> Self {
        Self {
            collector,
            constant_labels,
            started: Instant::now(),
            deadline,
            future: Mutex::new(Some(future)),
            waker: Arc::default(),
            report: OnceLock::new(),
        }
    }

    /// Returns the time at which the call times out.
    pub(crate) fn times_out_at(&self) -> Instant {
        self.deadline.drop_at()
    }

    pub(crate) fn report(&self) -> Option<&Arc<Report>> {
        self.report.get()
    }

    /// Whether the call has ended and its future is dropped, so that the collector may be called again.
    pub(crate) fn is_over(&self) -> bool {
        // A call with a report can still have its future, if it timed out while another thread was polling
        // the future.
        self.report.get().is_some() && self.try_future(|future| future.is_none()).unwrap_or(false)
    }

    /// Polls the collector's future if it was woken. Returns `Ready` if the call has a report.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.waker.add(cx.waker());
        if self.waker.is_woken() {
            self.drive();
        }
        match self.report.get() {
            Some(_) => Poll::Ready(()),
            None => Poll::Pending,
        }
    }

    fn drive(&self) {
        let outcome = self.try_future(|future| {
            if !self.waker.take() {
                return None;
            }
            let waker = Waker::from(Arc::clone(&self.waker));
            let polled = poll_caught(future.as_mut()?, &waker)?;
            drop_caught(future);
            Some(polled)
        });
        match outcome {
            Some(Some(result)) => self.end(result),
            // The future was woken during the poll, which woke the scrapes. They may have found the future
            // locked, so wake them again.
            Some(None) if self.waker.is_woken() => self.waker.wake_all(),
            _ => {}
        }
    }

    /// Ends the call with a timeout error and drops the collector's future, unless another thread is
    /// polling it.
    pub(crate) fn time_out(&self) {
        self.end(Err(format!(
            "timed out after {:.3} s",
            self.started.elapsed().as_secs_f64()
        )));
        self.try_future(drop_caught);
    }

    /// Returns a failure report for a scrape whose deadline is earlier than that of the call. The call
    /// continues.
    pub(crate) fn still_running_report(&self) -> Arc<Report> {
        let seconds = self.started.elapsed().as_secs_f64();
        let reason = format!("still running after {seconds:.3} s, when this scrape timed out");
        self.warn(&reason);
        Arc::new(Report {
            collector: Arc::clone(&self.collector),
            seconds,
            families: Err(reason),
        })
    }

    fn end(&self, samples: Result<Samples, String>) {
        let seconds = self.started.elapsed().as_secs_f64();
        let families = samples.and_then(|samples| {
            let mut checker = Checker::new(samples, Arc::clone(&self.constant_labels));
            let checked = checker.advance(&mut Budget::unlimited());
            checked.unwrap_or_else(|| Ok(Vec::new()))
        });
        let report = Report {
            collector: Arc::clone(&self.collector),
            seconds,
            families,
        };
        let report = Arc::new(report);
        if self.report.set(Arc::clone(&report)).is_ok()
            && let Err(reason) = &report.families
        {
            self.warn(reason);
        }
        self.waker.wake_all();
    }

    fn warn(&self, reason: &str) {
        warn_of(&self.collector, reason);
    }

    /// Runs `work` on the collector's future; `None` if another thread holds its lock.
    fn try_future<T>(&self, work: impl FnOnce(&mut Option<CollectFuture>) -> T) -> Option<T> {
        match self.future.try_lock() {
            Ok(mut future) => Some(work(&mut future)),
            Err(TryLockError::Poisoned(poisoned)) => Some(work(&mut poisoned.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

pub(crate) fn warn_of(collector: &str, reason: &str) {
    tracing::warn!("collector {collector:?} failed, its metrics are not exported: {reason}");
}

/// Polls a collector's future and catches panics. `None` while it is pending.
fn poll_caught(future: &mut CollectFuture, waker: &Waker) -> Option<Result<Samples, String>> {
    let cx = &mut Context::from_waker(waker);
    match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(Poll::Pending) => None,
        Ok(Poll::Ready(result)) => Some(result.map_err(|error| error_chain(&*error))),
        Err(panic) => Some(Err(format!("it panicked: {}", panic_message(&*panic)))),
    }
}

/// Drops a collector's future and catches panics of its destructors.
fn drop_caught(future: &mut Option<CollectFuture>) {
    let future = future.take();
    let _ = catch_unwind(AssertUnwindSafe(|| drop(future)));
}

/// Returns the message of an error followed by those of its sources.
fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let owned = || panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(owned).unwrap_or("no message")
}

/// The waker of a collector's future: it wakes all scrapes that wait for it.
struct SharedWaker {
    /// Whether the future must be polled: it is new or was woken.
    woken: AtomicBool,
    /// The wakers of the scrapes.
    waiting: Mutex<Vec<Waker>>,
}

impl Default for SharedWaker {
    fn default() -> Self {
        Self {
            woken: AtomicBool::new(true),
            waiting: Mutex::default(),
        }
    }
}

impl SharedWaker {
    fn add(&self, waker: &Waker) {
        let mut waiting = lock(&self.waiting);
        if !waiting.iter().any(|known| known.will_wake(waker)) {
            waiting.push(waker.clone());
        }
    }

    fn is_woken(&self) -> bool {
        self.woken.load(Ordering::Acquire)
    }

    /// Resets the flag and returns whether it was set.
    fn take(&self) -> bool {
        self.woken.swap(false, Ordering::AcqRel)
    }

    fn wake_all(&self) {
        let waiting = std::mem::take(&mut *lock(&self.waiting));
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Wake for SharedWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.wake_all();
    }
}

impl fmt::Debug for CollectorCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CollectorCall").finish_non_exhaustive()
    }
}
