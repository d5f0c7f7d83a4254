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
use crate::collect::checked::CheckedFamily;
use crate::collect::checker::{Checked, Checker, SampleRules};
use crate::collect::deadline::Deadline;
use crate::collect::samples::{CollectorResult, Samples};
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
    /// The number of series that are not exported, because the collector has more than its maximum.
    pub(crate) dropped: u64,
    /// The collectors of a registry that is itself the collector.
    pub(crate) nested: Arc<[CollectorResult]>,
    /// The families, or the reason of the failure.
    pub(crate) families: Result<Vec<Arc<CheckedFamily>>, String>,
}

/// One call of a collector. If the last scrape that waits for it is dropped, the call is cancelled.
pub(crate) struct CollectorCall {
    collector: Arc<str>,
    rules: Arc<SampleRules>,
    /// Whether a warning about dropped series was logged for this collector.
    warned_of_dropped: Arc<AtomicBool>,
    started: Instant,
    deadline: Deadline,
    work: Mutex<CallWork>,
    waker: Arc<SharedWaker>,
    /// See [`Report::nested`].
    nested: OnceLock<Arc<[CollectorResult]>>,
    report: OnceLock<Arc<Report>>,
}

/// The work that is left of a call.
enum CallWork {
    Collecting(CollectFuture),
    /// Validates the samples. The number is the run time of the collector in seconds.
    Checking(Box<Checker>, f64),
    Over,
}

/// The result of the work of a call, and the run time of the collector in seconds.
type CallResult = (Result<Checked, String>, f64);

impl CollectorCall {
    pub(crate) fn new(
        collector: Arc<str>,
        rules: Arc<SampleRules>,
        warned_of_dropped: Arc<AtomicBool>,
        deadline: Deadline,
        future: CollectFuture,
    ) -> Self {
        Self {
            collector,
            rules,
            warned_of_dropped,
            started: Instant::now(),
            deadline,
            work: Mutex::new(CallWork::Collecting(future)),
            waker: Arc::default(),
            nested: OnceLock::new(),
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
        let is_over = |work: &mut CallWork| matches!(work, CallWork::Over);
        self.report.get().is_some() && self.try_work(is_over).unwrap_or(false)
    }

    /// Polls the collector's future if it was woken, and validates its samples, unless the budget is spent. Returns
    /// `Ready` if the call has a report.
    pub(crate) fn poll(&self, budget: &mut Budget, cx: &mut Context<'_>) -> Poll<()> {
        if self.report.get().is_some() {
            return Poll::Ready(());
        }
        self.waker.add(cx.waker());
        if self.waker.is_woken() && !budget.is_spent() {
            self.drive(budget);
        }
        match self.report.get() {
            Some(_) => Poll::Ready(()),
            None => Poll::Pending,
        }
    }

    fn drive(&self, budget: &mut Budget) {
        let outcome = self.try_work(|work| {
            if !self.waker.take() {
                return None;
            }
            self.advance(work, budget)
        });
        match outcome {
            Some(Some((checked, seconds))) => self.end(checked, seconds),
            // The work was woken while it was locked, which woke the scrapes. They may have found it locked, so
            // wake them again.
            Some(None) if self.waker.is_woken() => self.waker.wake_all(),
            _ => {}
        }
    }

    /// Polls the collector's future, then validates its samples. Returns `None` if the future is pending or the
    /// budget is spent.
    fn advance(&self, work: &mut CallWork, budget: &mut Budget) -> Option<CallResult> {
        /// The approximate cost of a poll in nanoseconds.
        const POLL: usize = 500;
        /// The approximate cost in nanoseconds of adding a sample, which the collector did in one poll.
        const SAMPLE: usize = 150;
        if let CallWork::Collecting(future) = work {
            budget.spend(POLL);
            let waker = Waker::from(Arc::clone(&self.waker));
            let polled = poll_caught(future, &waker)?;
            let seconds = self.started.elapsed().as_secs_f64();
            drop_caught(work);
            match polled {
                Ok(mut samples) => {
                    budget.spend(SAMPLE * samples.len());
                    let nested = std::mem::take(&mut samples.nested);
                    let _ = self.nested.set(nested.into());
                    let checker = Checker::new(samples, Arc::clone(&self.rules));
                    *work = CallWork::Checking(Box::new(checker), seconds);
                }
                Err(reason) => return Some((Err(reason), seconds)),
            }
        }
        let CallWork::Checking(checker, seconds) = work else {
            return None;
        };
        let Some(checked) = checker.advance(budget) else {
            self.waker.set_woken();
            return None;
        };
        let seconds = *seconds;
        *work = CallWork::Over;
        Some((checked, seconds))
    }

    /// Ends the call with a timeout error and drops the collector's future, unless another thread is
    /// polling it.
    pub(crate) fn time_out(&self) {
        let seconds = self.started.elapsed().as_secs_f64();
        self.end(Err(format!("timed out after {seconds:.3} s")), seconds);
        self.try_work(drop_caught);
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
            dropped: 0,
            nested: Arc::default(),
            families: Err(reason),
        })
    }

    fn end(&self, checked: Result<Checked, String>, seconds: f64) {
        let (families, dropped) = match checked {
            Ok(Checked { families, dropped }) => (Ok(families), dropped),
            Err(reason) => (Err(reason), 0),
        };
        let report = Report {
            collector: Arc::clone(&self.collector),
            seconds,
            dropped,
            nested: self.nested.get().cloned().unwrap_or_default(),
            families,
        };
        let report = Arc::new(report);
        if self.report.set(Arc::clone(&report)).is_ok() {
            if let Err(reason) = &report.families {
                self.warn(reason);
            }
            if dropped > 0 && !self.warned_of_dropped.swap(true, Ordering::Relaxed) {
                self.warn_of_dropped(dropped);
            }
        }
        self.waker.wake_all();
    }

    fn warn_of_dropped(&self, dropped: u64) {
        let Self {
            collector, rules, ..
        } = self;
        let max = rules.max_series;
        tracing::warn!(
            "collector {collector:?} has more than {max} series, {dropped} are not exported: return fewer label \
             values, or raise `RegistryBuilder::max_series_per_collector`"
        );
    }

    fn warn(&self, reason: &str) {
        warn_of(&self.collector, reason);
    }

    /// Runs `f` on the work; `None` if another thread holds its lock.
    fn try_work<T>(&self, f: impl FnOnce(&mut CallWork) -> T) -> Option<T> {
        match self.work.try_lock() {
            Ok(mut work) => Some(f(&mut work)),
            Err(TryLockError::Poisoned(poisoned)) => Some(f(&mut poisoned.into_inner())),
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

/// Ends the work, and catches panics of the destructors of a collector's future.
fn drop_caught(work: &mut CallWork) {
    let work = std::mem::replace(work, CallWork::Over);
    let _ = catch_unwind(AssertUnwindSafe(|| drop(work)));
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
    /// Whether the call has work: its future is new or was woken, or its samples are being validated.
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

    /// Sets the flag without waking a scrape.
    fn set_woken(&self) {
        self.woken.store(true, Ordering::Release);
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
