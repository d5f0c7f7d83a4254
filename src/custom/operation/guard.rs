//! [`OperationGuard`]: the guard of an operation in progress.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use crate::clock::Instant;
use crate::custom::metric::InProgressGuard;
use crate::custom::operation::outcome::OperationEnd;
use crate::custom::operation::outcome::Outcome;
use crate::lifecycle::panic_guard::OnPanic;

/// The guard of an operation in progress. It dereferences to the labels of the operation.
///
/// Call one of the methods below, or set an outcome: an operation whose guard is only dropped is recorded as
/// cancelled.
///
/// The operation is recorded when the guard is consumed or dropped:
///
/// | end | outcome |
/// |---|---|
/// | [`success`](Self::success), [`error`](Self::error), [`finish`](Self::finish) | that of the method |
/// | [`discard`](Self::discard) | not recorded |
/// | dropped while the thread unwinds from a panic that started after the operation | [`Panicked`](Outcome::Panicked) |
/// | dropped otherwise | that of [`set_outcome`](Self::set_outcome) or [`set_error`](Self::set_error); [`Cancelled`](Outcome::Cancelled) by default |
///
/// For a future or stream, only a panic of the polled code counts. If it is dropped while the thread unwinds
/// from another panic, the last row applies.
#[must_use = "dropping the guard records the operation as cancelled"]
pub struct OperationGuard<Labels, Record: FnOnce(&OperationEnd<'_, Labels>)> {
    labels: Labels,
    /// `None` once the operation is recorded or discarded.
    record: Option<Record>,
    in_progress: Option<InProgressGuard>,
    started: Instant,
    /// The duration, if the clock was stopped.
    seconds: Option<f64>,
    outcome: Outcome,
    error_type: Option<&'static str>,
    /// Whether the operation panicked if the guard is dropped while the thread unwinds.
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
            started: Instant::now(),
            seconds: None,
            outcome: Outcome::Cancelled,
            error_type: None,
            // A destructor may start an operation while the thread already unwinds.
            sees_panics: !std::thread::panicking(),
        }
    }

    /// Marks an operation that is polled: a panic of other code may drop it while the thread unwinds.
    pub(super) fn polled(mut self) -> Self {
        self.sees_panics = false;
        self
    }

    /// Returns the time since the operation started.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Duration::try_from_secs_f64(self.started.elapsed_seconds()).unwrap_or_default()
    }

    /// Ends the measured duration now, while the operation stays in progress.
    ///
    /// Use it for the time to the first item of a stream. Only the first call has an effect.
    pub fn stop_clock(&mut self) {
        if self.seconds.is_none() {
            self.seconds = Some(self.started.elapsed_seconds());
        }
    }

    /// Sets the outcome that is recorded when the guard is dropped.
    pub fn set_outcome(&mut self, outcome: Outcome) {
        self.outcome = outcome;
    }

    /// Sets the outcome to [`Outcome::Error`] with this error type. It is recorded when the guard is dropped.
    pub fn set_error(&mut self, error_type: &'static str) {
        self.outcome = Outcome::Error;
        self.error_type = Some(error_type);
    }

    /// Ends the operation as successful.
    pub fn success(mut self) {
        self.record(Outcome::Success);
    }

    /// Ends the operation with an error. The error type is the name of `E` without path and parameters.
    pub fn error<E: ?Sized>(mut self, _: &E) {
        self.set_error(type_name::<E>());
        self.record(Outcome::Error);
    }

    /// Ends the operation with the outcome of `result`, as [`success`](Self::success) or
    /// [`error`](Self::error).
    pub fn finish<T, E>(mut self, result: &Result<T, E>) {
        self.set_result(result);
        self.record(self.outcome);
    }

    /// Ends the operation without recording it. The gauge of operations in progress is decremented.
    pub fn discard(mut self) {
        self.record = None;
    }

    pub(super) fn set_result<T, E>(&mut self, result: &Result<T, E>) {
        match result {
            Ok(_) => self.set_outcome(Outcome::Success),
            Err(_) => self.set_error(type_name::<E>()),
        }
    }

    /// Sets the outcome of work whose output cannot be an error.
    pub(super) fn set_success<T>(&mut self, _: &T) {
        self.set_outcome(Outcome::Success);
    }

    fn record(&mut self, outcome: Outcome) {
        let Some(record) = self.record.take() else {
            return;
        };
        let seconds = self
            .seconds
            .unwrap_or_else(|| self.started.elapsed_seconds());
        let error_type = match outcome {
            Outcome::Error => self.error_type,
            _ => None,
        };
        // Before `record`, so that an operation is never visible as both counted and in progress.
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

/// The name of a type without path and parameters.
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
