//! [`Exemplars`]: one exemplar per bucket of a histogram.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use crate::model::trace::TraceId;
use crate::sync::lock;

/// The latest exemplar of each bucket, replaced at most once per second.
pub(crate) struct Exemplars {
    buckets: Box<[ExemplarSlot]>,
}

#[derive(Default)]
struct ExemplarSlot {
    /// The time at which the latest exemplar was stored, in seconds since 1970. Fast path under load: if it is
    /// the current second, `offer` reads only this field.
    second: AtomicU64,
    latest: Mutex<Option<Exemplar>>,
}

/// An exemplar: an observation that belongs to a trace.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Exemplar {
    /// The ID of the trace.
    pub trace_id: TraceId,
    /// The observed value, in the unit of the histogram.
    pub value: f64,
    /// The time of the observation.
    pub timestamp: SystemTime,
}

impl Exemplars {
    /// The maximum number of exemplars of a native histogram. Prometheus reads up to 10.
    pub(crate) const NATIVE: usize = 10;

    pub(crate) fn new(buckets: usize) -> Self {
        let buckets = std::iter::repeat_with(ExemplarSlot::default).take(buckets);
        Self {
            buckets: buckets.collect(),
        }
    }

    /// Stores an exemplar of a native histogram. Values of one octave share a slot.
    pub(crate) fn offer_native(&self, value: f64, trace_id: TraceId) {
        let octave = value.to_bits() >> 52;
        self.offer(octave as usize % self.buckets.len(), value, trace_id);
    }

    /// Stores an exemplar, unless the bucket has one from the current second.
    pub(crate) fn offer(&self, bucket: usize, value: f64, trace_id: TraceId) {
        let timestamp = SystemTime::now();
        let now = timestamp.duration_since(SystemTime::UNIX_EPOCH);
        let (second, bucket) = (now.unwrap_or_default().as_secs(), &self.buckets[bucket]);
        if bucket.second.load(Ordering::Relaxed) == second {
            return;
        }
        // If another thread is reading or replacing the exemplar, drop this one instead of waiting.
        if let Ok(mut latest) = bucket.latest.try_lock() {
            bucket.second.store(second, Ordering::Relaxed);
            *latest = Some(Exemplar {
                trace_id,
                value,
                timestamp,
            });
        }
    }

    /// Removes all exemplars.
    pub(crate) fn clear(&self) {
        for bucket in &self.buckets {
            bucket.second.store(0, Ordering::Relaxed);
            *lock(&bucket.latest) = None;
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Exemplar> {
        (0..self.buckets.len()).filter_map(|bucket| self.get(bucket))
    }

    /// Returns the latest exemplar of all buckets.
    pub(crate) fn latest(&self) -> Option<Exemplar> {
        self.iter().max_by_key(|exemplar| exemplar.timestamp)
    }

    pub(crate) fn get(&self, bucket: usize) -> Option<Exemplar> {
        *lock(&self.buckets[bucket].latest)
    }
}
