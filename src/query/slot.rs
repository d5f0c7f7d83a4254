//! [`Slots`]: how many requests may be at the upstream at once.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

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
    _held: oneshot::Sender<()>,
}

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
        let (_held, released) = oneshot::channel::<()>();
        tokio::spawn(async move {
            let _ = timeout_at(deadline, released).await;
            drop(permit);
        });
        Self { _held }
    }
}
