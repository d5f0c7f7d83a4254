//! [`OperationGuard`]: the guard of an operation that has begun.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use crate::clock::Instant;
use crate::custom::metric::InProgressGuard;
use crate::custom::operation::outcome::OperationEnd;
use crate::custom::operation::outcome::Outcome;
use crate::lifecycle::panic_guard::OnPanic;

/// An operation that has begun: it is recorded when it is told how it ended, or dropped.
///
/// Dropped, it is [`Panicked`](Outcome::Panicked) if that is because of a panic since it began, else
/// [`Cancelled`](Outcome::Cancelled) or what [`set_outcome`](Self::set_outcome) said. It dereferences to
/// its labels.
#[must_use = "dropped at once, the operation was cancelled"]
pub struct OperationGuard<Labels, Record: FnOnce(&OperationEnd<'_, Labels>)> {
    labels: Labels,
    /// `None` once it is recorded or discarded.
    record: Option<Record>,
    in_progress: Option<InProgressGuard>,
    began: Instant,
    /// Where the clock was stopped.
    seconds: Option<f64>,
    outcome: Outcome,
    error_type: Option<&'static str>,
    /// Whether a panic that this is dropped in is its own.
    sees_panics: bool,
}

impl<Labels, Record: FnOnce(&OperationEnd<'_, Labels>)> OperationGuard<Labels, Record> {
    pub(super) fn new(
        labels: Labels,
        in_progress: Option<InProgressGuard>,
        record: Record,
    ) -> Self {
        Self {
            labels,
            record: Some(record),
            in_progress,
            began: Instant::now(),
            seconds: None,
            outcome: Outcome::Cancelled,
            error_type: None,
            // A destructor may run operations while its thread unwinds.
            sees_panics: !std::thread::panicking(),
        }
    }

    /// For an operation that is polled: who drops it may be panicking without its doing.
    pub(super) fn polled(mut self) -> Self {
        self.sees_panics = false;
        self
    }

    /// How long it has been running.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Duration::try_from_secs_f64(self.began.elapsed_seconds()).unwrap_or_default()
    }

    /// Lets its duration be that until now: the time to the first token, while the rest of it still
    /// counts as in progress. Only the first call counts.
    pub fn stop_clock(&mut self) {
        if self.seconds.is_none() {
            self.seconds = Some(self.began.elapsed_seconds());
        }
    }

    /// How it will have ended if nothing else is said until it is dropped.
    pub fn set_outcome(&mut self, outcome: Outcome) {
        self.outcome = outcome;
    }

    /// It will have ended in an error of this kind if nothing else is said until it is dropped.
    pub fn set_error(&mut self, error_type: &'static str) {
        self.outcome = Outcome::Error;
        self.error_type = Some(error_type);
    }

    /// It did what it should.
    pub fn success(mut self) {
        self.record(Outcome::Success);
    }

    /// It ended in an error, which is recorded by the name of its type without the path.
    pub fn error<E: ?Sized>(mut self, _: &E) {
        self.set_error(type_name::<E>());
        self.record(Outcome::Error);
    }

    /// It ended so.
    pub fn finish<T, E>(mut self, result: &Result<T, E>) {
        self.set_result(result);
        self.record(self.outcome);
    }

    /// It is not recorded at all; in progress goes down.
    pub fn discard(mut self) {
        self.record = None;
    }

    pub(super) fn set_result<T, E>(&mut self, result: &Result<T, E>) {
        match result {
            Ok(_) => self.set_outcome(Outcome::Success),
            Err(_) => self.set_error(type_name::<E>()),
        }
    }

    fn record(&mut self, outcome: Outcome) {
        let Some(record) = self.record.take() else {
            return;
        };
        let seconds = self.seconds.unwrap_or_else(|| self.began.elapsed_seconds());
        let error_type = match outcome {
            Outcome::Error => self.error_type,
            _ => None,
        };
        // First, so that who sees it counted sees it no longer in progress.
        self.in_progress = None;
        record(&OperationEnd {
            labels: &self.labels,
            outcome,
            seconds,
            error_type,
        });
    }
}

impl<Labels, Record: FnOnce(&OperationEnd<'_, Labels>)> Drop for OperationGuard<Labels, Record> {
    fn drop(&mut self) {
        let outcome = match self.sees_panics && std::thread::panicking() {
            true => Outcome::Panicked,
            false => self.outcome,
        };
        self.record(outcome);
    }
}

impl<Labels, Record: FnOnce(&OperationEnd<'_, Labels>)> Deref for OperationGuard<Labels, Record> {
    type Target = Labels;

    fn deref(&self) -> &Labels {
        &self.labels
    }
}

impl<Labels, Record: FnOnce(&OperationEnd<'_, Labels>)> DerefMut
    for OperationGuard<Labels, Record>
{
    fn deref_mut(&mut self) -> &mut Labels {
        &mut self.labels
    }
}

impl<Labels: fmt::Debug, Record: FnOnce(&OperationEnd<'_, Labels>)> fmt::Debug
    for OperationGuard<Labels, Record>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OperationGuard")
            .field("labels", &self.labels)
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}

/// The name of a type without paths and parameters.
fn type_name<T: ?Sized>() -> &'static str {
    let name = std::any::type_name::<T>();
    let name = name.split_once('<').map_or(name, |(name, _)| name);
    name.rsplit_once("::").map_or(name, |(_, name)| name)
}

impl<Labels, Record: FnOnce(&OperationEnd<'_, Labels>)> OnPanic
    for Option<OperationGuard<Labels, Record>>
{
    fn on_panic(&mut self) {
        if let Some(mut running) = self.take() {
            running.record(Outcome::Panicked);
        }
    }
}
