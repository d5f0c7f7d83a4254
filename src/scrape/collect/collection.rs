//! [`Collection`]: one scrape that waits for the collectors, and [`Collected`]: what it got.

use std::collections::HashSet;
use std::panic::catch_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use metrics::Unit;
use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, sleep_until};

use super::Deadline;
use super::call::{Call, Calls, Report, warn_of};
use super::families::{CheckedFamily, Number};
use crate::exposition::{Format, ReadyFamily};

/// The wait of one scrape.
#[derive(Debug)]
pub(in crate::scrape) struct Collection {
    deadline: Deadline,
    timer: Option<Timer>,
}

#[derive(Debug)]
struct Timer {
    /// Nothing where there is no runtime that keeps time.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Collection {
    pub(super) fn new(deadline: Deadline) -> Self {
        let timer = None;
        Self { deadline, timer }
    }

    pub(in crate::scrape) fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Drives the calls until each has a report, or this scraper has no more time.
    pub(in crate::scrape) fn poll(
        &mut self,
        calls: &Calls,
        cx: &mut Context<'_>,
    ) -> Poll<Collected> {
        loop {
            let mut next = self.deadline.dropped();
            let mut all_are_there = true;
            for call in calls {
                if call.poll(cx).is_pending() {
                    all_are_there = false;
                    next = next.min(call.until());
                }
            }
            if all_are_there {
                return Poll::Ready(Collected::of(calls));
            }
            let timer = self.timer.get_or_insert_with(|| Timer::new(next));
            ready!(timer.poll_until(next, cx));
            let now = Instant::now();
            let expired = |call: &&Arc<Call>| call.report().is_none() && call.until() <= now;
            calls.iter().filter(expired).for_each(|call| call.expire());
            if self.deadline.dropped() <= now {
                return Poll::Ready(Collected::of(calls));
            }
        }
    }
}

impl Timer {
    fn new(at: Instant) -> Self {
        // A runtime may be there and its timer off, which tokio tells by a panic.
        let sleep = Handle::try_current()
            .ok()
            .and_then(|_| catch_unwind(|| Box::pin(sleep_until(at))).ok());
        static WARNED: AtomicBool = AtomicBool::new(false);
        if sleep.is_none() && !WARNED.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "a scrape waits for its collectors without a deadline: there is no tokio runtime whose timer is on"
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

/// What the collectors reported, in their order. Two are equal when they are of the same calls.
#[derive(Clone, Debug, Default)]
pub(in crate::scrape) struct Collected(Vec<Arc<Report>>);

impl PartialEq for Collected {
    fn eq(&self, other: &Self) -> bool {
        let Self(others) = other;
        self.0.len() == others.len() && self.0.iter().zip(others).all(|(a, b)| Arc::ptr_eq(a, b))
    }
}

impl Collected {
    const SUCCESS: &str = "scrape_collector_success";
    const DURATION: &str = "scrape_collector_duration_seconds";

    fn of(calls: &Calls) -> Self {
        let report = |call: &Arc<Call>| call.report().cloned().unwrap_or_else(|| call.impatient());
        Self(calls.iter().map(report).collect())
    }

    pub(in crate::scrape) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What went wrong, a line for each collector; `None` if nothing did.
    pub(in crate::scrape) fn failure(&self) -> Option<String> {
        let failed = self.0.iter().filter_map(|report| {
            let reason = report.families.as_ref().err()?;
            Some(format!(
                "collector {:?} failed: {reason}\n",
                report.collector
            ))
        });
        let reasons: String = failed.collect();
        (!reasons.is_empty()).then_some(reasons)
    }

    /// The families by name, as text. `is_taken` says which names of samples the page has already.
    pub(in crate::scrape) fn families(
        &self,
        format: Format,
        constant_labels: &[(String, String)],
        is_taken: impl Fn(&str) -> bool,
    ) -> Vec<ReadyFamily> {
        if self.is_empty() {
            return Vec::new();
        }
        let mut names = HashSet::from([Self::SUCCESS, Self::DURATION]);
        let mut families = Vec::new();
        let mut successes = Vec::with_capacity(self.0.len());
        for report in &self.0 {
            let fitting = report.fitting(|name| names.contains(name) || is_taken(name));
            successes.push(fitting.is_some());
            for family in fitting.into_iter().flatten() {
                names.insert(&family.name);
                families.push(family);
            }
        }
        let own = self.about_collectors(&successes, constant_labels, &is_taken);
        families.extend(&own);
        families.sort_by(|a, b| a.name.cmp(&b.name));
        let is_taken = |name: &str| names.contains(name) || is_taken(name);
        let written = families.iter().map(|family| family.write(format, is_taken));
        written.collect()
    }

    /// The two families that say how the collectors did.
    fn about_collectors(
        &self,
        successes: &[bool],
        constant_labels: &[(String, String)],
        is_taken: impl Fn(&str) -> bool,
    ) -> Vec<CheckedFamily> {
        let reports = || self.0.iter().map(|report| report.collector.to_string());
        let successes = successes.iter().map(|is| Number::Whole(u64::from(*is)));
        let seconds = self.0.iter().map(|report| Number::Real(report.seconds));
        let families = [
            CheckedFamily::of_collectors(
                Self::SUCCESS,
                "Whether the samples of a collector are on this page.",
                None,
                reports().zip(successes),
                constant_labels,
            ),
            CheckedFamily::of_collectors(
                Self::DURATION,
                "How long a collector took, or was waited for.",
                Some(Unit::Seconds),
                reports().zip(seconds),
                constant_labels,
            ),
        ];
        let families = families.into_iter().filter_map(|family| match family {
            Ok(family) if is_taken(&family.name) => {
                tracing::warn!("the page is without {:?}: the name is taken", family.name);
                None
            }
            Ok(family) => Some(family),
            Err(reason) => {
                tracing::warn!("the page does not say how its collectors did: {reason}");
                None
            }
        });
        families.collect()
    }
}

impl Report {
    /// The families, unless there are none, or one of them has a name that is taken.
    fn fitting(&self, is_taken: impl Fn(&str) -> bool) -> Option<&[CheckedFamily]> {
        let families = self.families.as_ref().ok()?;
        match families.iter().find(|family| is_taken(&family.name)) {
            None => Some(families),
            Some(CheckedFamily { name, .. }) => {
                let reason = format!("the name {name:?} is taken by another family of the page");
                warn_of(&self.collector, &reason);
                None
            }
        }
    }
}
