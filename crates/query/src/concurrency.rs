//! [`Slots`]: how many requests may be at the upstream at once.

use std::sync::{Arc, Mutex};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::sync::lock;

/// A number of places for requests to the upstream.
#[derive(Debug)]
pub(super) struct Slots {
    free: Arc<Semaphore>,
    all: usize,
}

/// One place, given back when dropped, and at the latest when the request's time is over: a client that
/// does not read its answer holds no place for longer than that.
#[derive(Debug)]
pub(super) struct Slot {
    permit: Permit,
    timer: AbortHandle,
}

/// Taken by whoever comes first, the drop or the timer.
type Permit = Arc<Mutex<Option<OwnedSemaphorePermit>>>;

impl Slots {
    pub(super) fn new(all: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(all)),
            all,
        }
    }

    pub(super) fn all(&self) -> usize {
        self.all
    }

    /// A place, if there is one now.
    pub(super) fn take(&self, deadline: Instant) -> Option<Slot> {
        let permit = Arc::clone(&self.free).try_acquire_owned().ok()?;
        Some(Slot::hold(permit, deadline))
    }

    /// A place, waited for until then.
    pub(super) async fn wait(&self, deadline: Instant) -> Option<Slot> {
        let permit = timeout_at(deadline, Arc::clone(&self.free).acquire_owned()).await;
        Some(Slot::hold(permit.ok()?.ok()?, deadline))
    }
}

impl Slot {
    fn hold(permit: OwnedSemaphorePermit, deadline: Instant) -> Self {
        let permit = Arc::new(Mutex::new(Some(permit)));
        let held = Arc::clone(&permit);
        let timer = tokio::spawn(async move {
            sleep_until(deadline).await;
            give_back(&held);
        });
        Self {
            permit,
            timer: timer.abort_handle(),
        }
    }
}

fn give_back(permit: &Permit) {
    let permit = lock(permit).take();
    drop(permit);
}

impl Drop for Slot {
    fn drop(&mut self) {
        give_back(&self.permit);
        self.timer.abort();
    }
}
