//! [`Exemplars`]: for each bucket of a histogram, one request that is in it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use crate::model::trace::TraceId;
use crate::sync::lock;

/// The latest exemplar of each bucket, at most one a second: an example, not a log.
pub(crate) struct Exemplars {
    buckets: Box<[ExemplarSlot]>,
}

#[derive(Default)]
struct ExemplarSlot {
    /// The second of the latest, so that most requests only read.
    second: AtomicU64,
    latest: Mutex<Option<Exemplar>>,
}

/// An observation that belongs to a trace.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Exemplar {
    /// The trace.
    pub trace_id: TraceId,
    /// The observed value.
    pub value: f64,
    /// When it was observed.
    pub timestamp: SystemTime,
}

impl Exemplars {
    pub(crate) fn new(buckets: usize) -> Self {
        let buckets = std::iter::repeat_with(ExemplarSlot::default).take(buckets);
        Self {
            buckets: buckets.collect(),
        }
    }

    /// Keeps an exemplar, unless there is one of this second.
    pub(crate) fn offer(&self, bucket: usize, value: f64, trace_id: TraceId) {
        let timestamp = SystemTime::now();
        let now = timestamp.duration_since(SystemTime::UNIX_EPOCH);
        let (second, bucket) = (now.unwrap_or_default().as_secs(), &self.buckets[bucket]);
        if bucket.second.load(Ordering::Relaxed) == second {
            return;
        }
        // If another thread reads or replaces the exemplar, this one is dropped rather than waited for.
        if let Ok(mut latest) = bucket.latest.try_lock() {
            bucket.second.store(second, Ordering::Relaxed);
            *latest = Some(Exemplar {
                trace_id,
                value,
                timestamp,
            });
        }
    }

    pub(crate) fn get(&self, bucket: usize) -> Option<Exemplar> {
        *lock(&self.buckets[bucket].latest)
    }
}
