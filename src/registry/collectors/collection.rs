//! [`Collection`]: one scrape's wait for collectors. [`Collected`]: their reports.

use std::collections::HashSet;
use std::panic::catch_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use metrics::Unit;
use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::collect::checked::{CheckedFamily, check_family};
use crate::collect::deadline::Deadline;
use crate::collect::samples::{Sampled, SampledFamily};
use crate::model::kind::MetricKind;
use crate::model::numbers::Number;
use crate::registry::collectors::call::{CollectorCall, CollectorCalls, Report, warn_of};

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

    /// Drives the calls until each has a report, or until this scrape times out.
    pub(crate) fn poll(&mut self, calls: &CollectorCalls, cx: &mut Context<'_>) -> Poll<Collected> {
        loop {
            let mut next = self.deadline.drop_at();
            let mut all_reported = true;
            for call in calls {
                if call.poll(cx).is_pending() {
                    all_reported = false;
                    next = next.min(call.times_out_at());
                }
            }
            if all_reported {
                return Poll::Ready(Collected::of(calls));
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
    const SUCCESS: &str = "scrape_collector_success";
    const DURATION: &str = "scrape_collector_duration_seconds";

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

    /// The approximate cost of sorting and checking the families, in nanoseconds.
    pub(crate) fn work(&self) -> usize {
        const FAMILY: usize = 500;
        let families = |report: &Arc<Report>| report.families.as_ref().map_or(0, Vec::len);
        self.0.iter().map(families).sum::<usize>() * FAMILY
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
        let reasons: String = failed.collect();
        (!reasons.is_empty()).then_some(reasons)
    }

    /// Returns the families to export, sorted by name.
    ///
    /// `is_taken` tells whether another metric of the page has a name. If a family name of a collector is taken,
    /// none of the families of that collector are exported.
    pub(crate) fn families(
        &self,
        constant_labels: &[(String, String)],
        is_taken: impl Fn(&str) -> bool,
    ) -> Vec<Arc<CheckedFamily>> {
        if self.is_empty() {
            return Vec::new();
        }
        let mut names = HashSet::from([Self::SUCCESS, Self::DURATION].map(str::to_owned));
        let mut families = Vec::new();
        let mut successes = Vec::with_capacity(self.0.len());
        for report in &self.0 {
            let exported = report.exportable(|name| names.contains(name) || is_taken(name));
            successes.push(exported.is_some());
            for family in exported.into_iter().flatten() {
                names.extend(family.kind.sample_names(&family.name));
                families.push(Arc::clone(family));
            }
        }
        families.extend(self.about_collectors(&successes, constant_labels, &is_taken));
        families.sort_by(|a, b| a.name.cmp(&b.name));
        families
    }

    /// Returns the families [`SUCCESS`](Self::SUCCESS) and [`DURATION`](Self::DURATION).
    fn about_collectors(
        &self,
        successes: &[bool],
        constant_labels: &[(String, String)],
        is_taken: impl Fn(&str) -> bool,
    ) -> Vec<Arc<CheckedFamily>> {
        let successes = successes.iter().map(|is| Number::Integer(u64::from(*is)));
        let seconds = self.0.iter().map(|report| Number::Float(report.seconds));
        let success = self.gauge(
            Self::SUCCESS,
            "Whether the collector succeeded (1) or its metrics are missing (0).",
            None,
            successes,
        );
        let duration = self.gauge(
            Self::DURATION,
            "Run time of the collector in seconds, until it ended or timed out.",
            Some(Unit::Seconds),
            seconds,
        );
        let families = [success, duration].into_iter().filter_map(|family| {
            let name = family.name.clone();
            if is_taken(&name) {
                tracing::warn!("{name} is not exported: the name is taken by another metric");
                return None;
            }
            match check_family(family, constant_labels) {
                Ok(family) => Some(Arc::new(family)),
                Err(reason) => {
                    tracing::warn!("{name} is not exported: {reason}");
                    None
                }
            }
        });
        families.collect()
    }

    /// Returns a gauge with the label `collector`.
    fn gauge(
        &self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        numbers: impl Iterator<Item = Number>,
    ) -> SampledFamily {
        let label = |report: &Arc<Report>| ("collector".to_owned(), report.collector.to_string());
        let labels = self.0.iter().map(|report| vec![label(report)]);
        SampledFamily {
            name: name.to_owned(),
            kind: MetricKind::Gauge,
            help: help.to_owned(),
            unit,
            samples: labels.zip(numbers.map(Sampled::Number)).collect(),
        }
    }
}

impl Report {
    /// Returns the families; `None` if the collector failed or one of their names is taken.
    fn exportable(&self, is_taken: impl Fn(&str) -> bool) -> Option<&[Arc<CheckedFamily>]> {
        let families = self.families.as_ref().ok()?;
        let names = |family: &Arc<CheckedFamily>| family.kind.sample_names(&family.name);
        match families.iter().flat_map(names).find(|name| is_taken(name)) {
            None => Some(families),
            Some(name) => {
                let reason = format!("the name {name:?} is taken by another metric");
                warn_of(&self.collector, &reason);
                None
            }
        }
    }
}
