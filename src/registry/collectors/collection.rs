//! [`Collection`]: one scrape's wait for collectors. [`Collected`]: their reports.

use std::panic::catch_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::budget::Budget;
use crate::collect::deadline::Deadline;
use crate::registry::collectors::call::{CollectorCall, CollectorCalls, Report};

/// One scrape's wait for its collectors, with the deadline of that scrape.
#[derive(Debug)]
pub(crate) struct Collection {
    deadline: Deadline,
    timer: Option<Timer>,
}

#[derive(Debug)]
struct Timer {
    /// `None` without a tokio runtime whose timer is enabled.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Collection {
    pub(crate) fn new(deadline: Deadline) -> Self {
        let timer = None;
        Self { deadline, timer }
    }

    pub(crate) fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Drives the calls until each has a report, or until this scrape times out. Yields when the budget is spent.
    pub(crate) fn poll(
        &mut self,
        calls: &CollectorCalls,
        budget: &mut Budget,
        cx: &mut Context<'_>,
    ) -> Poll<Collected> {
        loop {
            let mut next = self.deadline.drop_at();
            let mut all_reported = true;
            for call in calls {
                if call.poll(budget, cx).is_pending() {
                    all_reported = false;
                    next = next.min(call.times_out_at());
                }
            }
            if all_reported {
                return Poll::Ready(Collected::of(calls));
            }
            if budget.is_spent() {
                cx.waker().wake_by_ref();
            }
            let timer = self.timer.get_or_insert_with(|| Timer::new(next));
            ready!(timer.poll_until(next, cx));
            let now = Instant::now();
            let expired =
                |call: &&Arc<CollectorCall>| call.report().is_none() && call.times_out_at() <= now;
            calls
                .iter()
                .filter(expired)
                .for_each(|call| call.time_out());
            if self.deadline.drop_at() <= now {
                return Poll::Ready(Collected::of(calls));
            }
        }
    }
}

impl Timer {
    fn new(at: Instant) -> Self {
        // In a runtime without an enabled timer, `sleep_until` panics.
        let sleep = Handle::try_current()
            .ok()
            .and_then(|_| catch_unwind(|| Box::pin(sleep_until(at))).ok());
        static WARNED: AtomicBool = AtomicBool::new(false);
        if sleep.is_none() && !WARNED.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "scrape timeout is not enforced for collectors: no tokio runtime with an enabled timer; \
                 serve metrics from a runtime built with `enable_all` or `enable_time`"
            );
        }
        Self { sleep }
    }

    fn poll_until(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let Some(sleep) = &mut self.sleep else {
            return Poll::Pending;
        };
        if sleep.deadline() != at {
            sleep.as_mut().reset(at);
        }
        sleep.as_mut().poll(cx)
    }
}

/// The reports of the collectors, in the order of registration. Reports are compared by identity: two are equal
/// only if they are of the same calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Collected(Vec<Arc<Report>>);

impl PartialEq for Collected {
    fn eq(&self, other: &Self) -> bool {
        let Self(others) = other;
        self.0.len() == others.len() && self.0.iter().zip(others).all(|(a, b)| Arc::ptr_eq(a, b))
    }
}

impl Collected {
    fn of(calls: &CollectorCalls) -> Self {
        let report = |call: &Arc<CollectorCall>| {
            call.report()
                .cloned()
                .unwrap_or_else(|| call.still_running_report())
        };
        Self(calls.iter().map(report).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the reports, in the order of registration.
    pub(crate) fn reports(&self) -> &[Arc<Report>] {
        &self.0
    }

    /// Returns one line per failed collector; `None` if all succeeded.
    pub(crate) fn failure(&self) -> Option<String> {
        let failed = self.0.iter().filter_map(|report| {
            let reason = report.families.as_ref().err()?;
            Some(format!(
                "collector {:?} failed: {reason}\n",
                report.collector
            ))
        });
        let nested = self.0.iter().flat_map(|report| {
            let failed = report.nested.iter().filter(|nested| !nested.success);
            failed.map(|nested| {
                let name = nested.name_in(&report.collector);
                format!("collector {name:?} failed: its warning has the reason\n")
            })
        });
        let reasons: String = failed.chain(nested).collect();
        (!reasons.is_empty()).then_some(reasons)
    }
}
