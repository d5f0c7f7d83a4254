//! [`RuntimeCollector`]: what tokio knows of itself.

use std::fmt;

use metrics::Unit;
use tokio::runtime::{Handle, RuntimeMetrics};

use super::ReadyMade;
use crate::Error;
use crate::app::{FamilyDescription, FamilyKind, LabelDescription};
use crate::collect::{CollectError, Collector, Deadline, Samples};

const WORKERS: ReadyMade = ReadyMade::new(
    "tokio_workers",
    FamilyKind::Gauge,
    None,
    "Worker threads of the runtime.",
);
const ALIVE_TASKS: ReadyMade = ReadyMade::new(
    "tokio_alive_tasks",
    FamilyKind::Gauge,
    None,
    "Tasks that have not ended.",
);
const QUEUE_DEPTH: ReadyMade = ReadyMade::new(
    "tokio_global_queue_depth",
    FamilyKind::Gauge,
    None,
    "Tasks that wait in the runtime's global queue.",
);
const BUSY: ReadyMade = ReadyMade::new(
    "tokio_worker_busy_seconds_total",
    FamilyKind::Counter,
    Some(Unit::Seconds),
    "Time that a worker was busy.",
);
const PARKS: ReadyMade = ReadyMade::new(
    "tokio_worker_parks_total",
    FamilyKind::Counter,
    None,
    "Times that a worker went to sleep.",
);

/// A tokio runtime, by what it tells without `tokio_unstable`:
///
/// | family | type | labels | |
/// |---|---|---|---|
/// | `tokio_workers` | gauge | | worker threads |
/// | `tokio_alive_tasks` | gauge | | tasks that have not ended |
/// | `tokio_global_queue_depth` | gauge | | tasks that wait in the global queue |
/// | `tokio_worker_busy_seconds_total` | counter | `worker` | its rate is how busy a worker is, 1 is all the time |
/// | `tokio_worker_parks_total` | counter | `worker` | times it had nothing to do |
///
/// The last two are there on systems with 64-bit atomics.
#[derive(Clone)]
pub struct RuntimeCollector {
    metrics: RuntimeMetrics,
}

impl RuntimeCollector {
    /// The runtime that this is called in.
    ///
    /// # Errors
    ///
    /// When it is called outside one.
    pub fn current() -> Result<Self, Error> {
        let handle = Handle::try_current().map_err(|_| {
            Error::new("there is no tokio runtime here: call this inside one, or name one by `of`")
        })?;
        Ok(Self::of(&handle))
    }

    /// The runtime of a handle.
    #[must_use]
    pub fn of(handle: &Handle) -> Self {
        let metrics = handle.metrics();
        Self { metrics }
    }

    /// The families as their definition says them.
    #[must_use]
    pub fn families() -> Vec<FamilyDescription> {
        let worker = LabelDescription::new("worker");
        let by_worker = [BUSY, PARKS].map(|family| {
            let mut description = family.describe();
            description.labels.push(worker.clone());
            description
        });
        let plain = [WORKERS, ALIVE_TASKS, QUEUE_DEPTH].map(ReadyMade::describe);
        plain.into_iter().chain(by_worker).collect()
    }
}

impl Collector for RuntimeCollector {
    async fn collect(&self, _: Deadline, samples: &mut Samples) -> Result<(), CollectError> {
        let Self { metrics } = self;
        WORKERS.of(samples).value(metrics.num_workers());
        ALIVE_TASKS.of(samples).value(metrics.num_alive_tasks());
        QUEUE_DEPTH.of(samples).value(metrics.global_queue_depth());
        #[cfg(target_has_atomic = "64")]
        for worker in 0..metrics.num_workers() {
            let label = worker.to_string();
            let labels = &[("worker", label.as_str())];
            let busy = metrics.worker_total_busy_duration(worker);
            BUSY.of(samples).sample(labels, busy);
            let parks = metrics.worker_park_count(worker);
            PARKS.of(samples).sample(labels, parks);
        }
        Ok(())
    }
}

impl fmt::Debug for RuntimeCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuntimeCollector").finish_non_exhaustive()
    }
}
