//! [`CircuitBreaker`]: does not ask who has just failed three times.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Failures in a row that open it.
const FAILURES: u32 = 3;
/// How long it stays open before one call may try again.
const COOL_DOWN: Duration = Duration::from_millis(700);

/// As on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Closed = 0,
    Open = 1,
    HalfOpen = 2,
}

/// Closed, it lets all calls pass; open, none; half-open, one at a time, which decides.
#[derive(Debug, Default)]
pub struct CircuitBreaker(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    failures: u32,
    opened: Option<Instant>,
    trial: bool,
}

/// The right to call once. Dropped without a verdict, as by who hangs up, it was none.
#[must_use = "a call without a verdict changes nothing"]
pub struct Permit<'a> {
    breaker: &'a CircuitBreaker,
    /// Whether it is the one call of a half-open breaker.
    trial: bool,
}

impl CircuitBreaker {
    pub fn state(&self) -> State {
        self.lock().state()
    }

    /// `None` while it is open.
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
        // One that began before it opened says nothing about now.
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
