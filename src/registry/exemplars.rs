//! [`Exemplars`]: for each bucket of a histogram, one request that is in it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use crate::labels::TraceId;
use crate::sync::lock;

/// The latest exemplar of each bucket, at most one a second: an example, not a log.
pub(crate) struct Exemplars {
    buckets: Box<[Bucket]>,
}

#[derive(Default)]
struct Bucket {
    /// The second of the latest, so that most requests only read.
    second: AtomicU64,
    latest: Mutex<Option<Exemplar>>,
}

#[derive(Clone, Copy)]
pub(crate) struct Exemplar {
    pub(crate) trace: TraceId,
    pub(crate) sample: f64,
    /// Since 1970.
    pub(crate) at: Duration,
}

impl Exemplars {
    pub(super) fn new(buckets: usize) -> Self {
        let buckets = std::iter::repeat_with(Bucket::default).take(buckets);
        Self {
            buckets: buckets.collect(),
        }
    }

    /// Keeps an exemplar, unless there is one of this second.
    pub(super) fn offer(&self, bucket: usize, sample: f64, trace: TraceId) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let (at, bucket) = (now.unwrap_or_default(), &self.buckets[bucket]);
        let second = at.as_secs();
        if bucket.second.load(Ordering::Relaxed) == second {
            return;
        }
        // Whoever is reading it, or writing another, has better things to do than wait.
        if let Ok(mut latest) = bucket.latest.try_lock() {
            bucket.second.store(second, Ordering::Relaxed);
            *latest = Some(Exemplar { trace, sample, at });
        }
    }

    pub(crate) fn get(&self, bucket: usize) -> Option<Exemplar> {
        *lock(&self.buckets[bucket].latest)
    }
}
