//! [`CircuitBreaker`]: opens after three failed calls in a row.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Consecutive failures that open the breaker.
const FAILURES: u32 = 3;
/// How long the breaker stays open before it becomes half-open.
const COOL_DOWN: Duration = Duration::from_millis(700);

/// The values are those of `aria_llm_circuit_breaker_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Closed = 0,
    Open = 1,
    HalfOpen = 2,
}

/// A circuit breaker for the calls of one model.
///
/// | state | calls |
/// |---|---|
/// | closed | all are allowed |
/// | open | none is allowed |
/// | half-open | one trial call at a time is allowed: its success closes the breaker, its failure opens it again |
#[derive(Debug, Default)]
pub struct CircuitBreaker(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    failures: u32,
    /// `None` while the breaker is closed.
    opened: Option<Instant>,
    /// Whether a trial call is in progress.
    trial: bool,
}

/// Permission for one call. If it is dropped without a result, because the client disconnected, the
/// breaker's state does not change.
#[must_use = "call `succeeded` or `failed` when the call ends"]
pub struct Permit<'a> {
    breaker: &'a CircuitBreaker,
    /// Whether this is the trial call of a half-open breaker.
    trial: bool,
}

impl CircuitBreaker {
    pub fn state(&self) -> State {
        self.lock().state()
    }

    /// Returns `None` if the breaker is open, or half-open with a trial call in progress.
    pub fn admit(&self) -> Option<Permit<'_>> {
        let mut inner = self.lock();
        let trial = match inner.state() {
            State::Closed => false,
            State::HalfOpen if !inner.trial => true,
            State::HalfOpen | State::Open => return None,
        };
        inner.trial |= trial;
        Some(Permit {
            breaker: self,
            trial,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn state(&self) -> State {
        match self.opened {
            None => State::Closed,
            Some(opened) if opened.elapsed() < COOL_DOWN => State::Open,
            Some(_) => State::HalfOpen,
        }
    }
}

impl Permit<'_> {
    pub fn succeeded(self) {
        let mut inner = self.breaker.lock();
        // A call that started before the breaker opened does not close it.
        if self.trial || inner.opened.is_none() {
            inner.failures = 0;
            inner.opened = None;
        }
    }

    pub fn failed(self) {
        let mut inner = self.breaker.lock();
        inner.failures += 1;
        if self.trial || (inner.failures >= FAILURES && inner.opened.is_none()) {
            inner.opened = Some(Instant::now());
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.trial {
            self.breaker.lock().trial = false;
        }
    }
}
