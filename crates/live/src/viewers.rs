//! [`Viewers`]: the open streams, at most a fixed number.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::tick::Tick;

/// A viewer that does not read for this long makes room for others.
const HUNG_AFTER: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Viewers {
    max: usize,
    open: Mutex<Vec<Arc<Activity>>>,
}

/// When a viewer last read, and what it has to read first.
#[derive(Debug)]
struct Activity {
    last_read: Mutex<Instant>,
    /// Here, so that its memory can be freed although the stream is not read.
    replay: Mutex<VecDeque<Arc<Tick>>>,
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
            replay: Mutex::default(),
            is_removed: AtomicBool::new(false),
        });
        open.push(Arc::clone(&activity));
        Some(Viewer {
            viewers: Arc::clone(self),
            activity,
        })
    }

    /// Removes viewers that have not read for a minute: a suspended laptop, a broken connection. Their samples are freed, and
    /// their streams end when they are read again.
    pub(crate) fn remove_hung(&self) {
        let now = Instant::now();
        lock(&self.open).retain(|activity| {
            let is_hung = now.duration_since(*lock(&activity.last_read)) > HUNG_AFTER;
            activity.is_removed.store(is_hung, Ordering::Relaxed);
            if is_hung {
                drop(std::mem::take(&mut *lock(&activity.replay)));
            }
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

    /// The ticks to read before those that follow.
    pub(crate) fn replay(&self) -> MutexGuard<'_, VecDeque<Arc<Tick>>> {
        lock(&self.activity.replay)
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::Viewers;
    use crate::tick::Tick;

    #[tokio::test(start_paused = true)]
    async fn samples_of_a_viewer_that_does_not_read_are_freed() {
        let viewers = Arc::new(Viewers::new(1));
        let viewer = viewers.add().unwrap();
        let tick = Arc::new(Tick::default());
        viewer.replay().push_back(Arc::clone(&tick));
        tokio::time::advance(Duration::from_secs(59)).await;
        viewers.remove_hung();
        assert_eq!(Arc::strong_count(&tick), 2);
        tokio::time::advance(Duration::from_secs(2)).await;
        viewers.remove_hung();
        assert_eq!(Arc::strong_count(&tick), 1);
        assert!(!viewer.reads());
    }
}
