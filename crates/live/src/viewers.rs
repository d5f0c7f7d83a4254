//! [`Viewers`]: the open streams, at most a fixed number.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A viewer that does not read for this long makes room for others.
const HUNG_AFTER: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Viewers {
    max: usize,
    open: Mutex<Vec<Arc<Activity>>>,
}

/// When a viewer last read.
#[derive(Debug)]
struct Activity {
    last_read: Mutex<Instant>,
    is_removed: AtomicBool,
}

/// One viewer. Dropping it makes room for another.
#[derive(Debug)]
pub(crate) struct Viewer {
    viewers: Arc<Viewers>,
    activity: Arc<Activity>,
}

impl Viewers {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            max,
            open: Mutex::default(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.open).is_empty()
    }

    /// Adds a viewer; `None` if there are too many.
    pub(crate) fn add(self: &Arc<Self>) -> Option<Viewer> {
        let mut open = lock(&self.open);
        if open.len() >= self.max {
            return None;
        }
        let activity = Arc::new(Activity {
            last_read: Mutex::new(Instant::now()),
            is_removed: AtomicBool::new(false),
        });
        open.push(Arc::clone(&activity));
        Some(Viewer {
            viewers: Arc::clone(self),
            activity,
        })
    }

    /// Removes viewers that have not read for a minute: a suspended laptop, a broken connection. Their streams end when they
    /// are read again.
    pub(crate) fn remove_hung(&self) {
        let now = Instant::now();
        lock(&self.open).retain(|activity| {
            let is_hung = now.duration_since(*lock(&activity.last_read)) > HUNG_AFTER;
            activity.is_removed.store(is_hung, Ordering::Relaxed);
            !is_hung
        });
    }
}

impl Viewer {
    /// Notes that the viewer reads. Returns `false` if it was removed.
    pub(crate) fn reads(&self) -> bool {
        *lock(&self.activity.last_read) = Instant::now();
        !self.activity.is_removed.load(Ordering::Relaxed)
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        lock(&self.viewers.open).retain(|activity| !Arc::ptr_eq(activity, &self.activity));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
