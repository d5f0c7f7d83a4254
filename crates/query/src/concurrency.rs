//! [`ConcurrencyLimit`]: the maximum number of requests to the upstream in progress.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until, timeout_at};

/// A limit on requests in progress.
#[derive(Debug)]
pub(crate) struct ConcurrencyLimit {
    semaphore: Arc<Semaphore>,
    max: usize,
}

/// A permit for one request in progress. It is released when it is dropped.
#[derive(Debug)]
pub(crate) struct ConcurrencyPermit(OwnedSemaphorePermit);

/// A permit that is released when it is dropped, or at the deadline of the request.
///
/// Without the deadline, a client that does not read its response could hold the permit indefinitely.
#[derive(Debug)]
pub(crate) struct TimedPermit {
    permit: SharedPermit,
    timer: AbortHandle,
}

/// `None` once the permit is released, by `drop` or by the timer.
type SharedPermit = Arc<Mutex<Option<OwnedSemaphorePermit>>>;

impl ConcurrencyLimit {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            semaphore: Arc::new(Semaphore::new(max)),
            max,
        }
    }

    pub(crate) fn max(&self) -> usize {
        self.max
    }

    /// Returns a permit, or `None` if the limit is reached.
    pub(crate) fn try_acquire(&self) -> Option<ConcurrencyPermit> {
        let permit = Arc::clone(&self.semaphore).try_acquire_owned().ok()?;
        Some(ConcurrencyPermit(permit))
    }

    /// Waits for a permit until the deadline.
    pub(crate) async fn acquire(&self, deadline: Instant) -> Option<ConcurrencyPermit> {
        let permit = timeout_at(deadline, Arc::clone(&self.semaphore).acquire_owned()).await;
        Some(ConcurrencyPermit(permit.ok()?.ok()?))
    }
}

impl ConcurrencyPermit {
    /// Returns a permit that is also released at the deadline.
    pub(crate) fn until(self, deadline: Instant) -> TimedPermit {
        let permit = Arc::new(Mutex::new(Some(self.0)));
        let held = Arc::clone(&permit);
        let timer = tokio::spawn(async move {
            sleep_until(deadline).await;
            release(&held);
        });
        TimedPermit {
            permit,
            timer: timer.abort_handle(),
        }
    }
}

fn release(permit: &SharedPermit) {
    let permit = permit.lock().unwrap_or_else(PoisonError::into_inner).take();
    // Dropped after the lock is released, because dropping it wakes a waiting task.
    drop(permit);
}

impl Drop for TimedPermit {
    fn drop(&mut self) {
        release(&self.permit);
        self.timer.abort();
    }
}
