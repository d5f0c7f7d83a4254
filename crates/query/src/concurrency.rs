//! [`ConcurrencyLimit`]: how many requests to the upstream are in progress at once.

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

/// The right to one request in progress.
///
/// It is released when dropped, and at the latest at the request's deadline. So a client that does not read its
/// response cannot hold it longer.
#[derive(Debug)]
pub(crate) struct ConcurrencyPermit {
    permit: SharedPermit,
    timer: AbortHandle,
}

/// Emptied by the drop or by the timer, whichever comes first.
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

    pub(crate) fn try_acquire(&self, deadline: Instant) -> Option<ConcurrencyPermit> {
        let permit = Arc::clone(&self.semaphore).try_acquire_owned().ok()?;
        Some(ConcurrencyPermit::new(permit, deadline))
    }

    /// Waits for a permit until the deadline.
    pub(crate) async fn acquire(&self, deadline: Instant) -> Option<ConcurrencyPermit> {
        let permit = timeout_at(deadline, Arc::clone(&self.semaphore).acquire_owned()).await;
        Some(ConcurrencyPermit::new(permit.ok()?.ok()?, deadline))
    }
}

impl ConcurrencyPermit {
    fn new(permit: OwnedSemaphorePermit, deadline: Instant) -> Self {
        let permit = Arc::new(Mutex::new(Some(permit)));
        let held = Arc::clone(&permit);
        let timer = tokio::spawn(async move {
            sleep_until(deadline).await;
            release(&held);
        });
        Self {
            permit,
            timer: timer.abort_handle(),
        }
    }
}

fn release(permit: &SharedPermit) {
    let permit = permit.lock().unwrap_or_else(PoisonError::into_inner).take();
    // After the lock: the semaphore wakes a waiting task.
    drop(permit);
}

impl Drop for ConcurrencyPermit {
    fn drop(&mut self) {
        release(&self.permit);
        self.timer.abort();
    }
}
