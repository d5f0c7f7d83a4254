//! [`RuntimeCollector`]: workers and tasks of a tokio runtime.

use std::fmt;

use metrics::Unit;
use tokio::runtime::{Handle, RuntimeMetrics};

use crate::collect::deadline::Deadline;
use crate::collect::samples::Samples;
use crate::collect::{CollectError, Collector};
use crate::collectors::FamilyDefinition;
use crate::error::Error;
use crate::model::description::{FamilyDescription, LabelDescription};
use crate::model::kind::MetricKind;

const WORKERS: FamilyDefinition = FamilyDefinition::new(
    "tokio_workers",
    MetricKind::Gauge,
    None,
    "Number of worker threads of the tokio runtime.",
);
const ALIVE_TASKS: FamilyDefinition = FamilyDefinition::new(
    "tokio_alive_tasks",
    MetricKind::Gauge,
    None,
    "Number of alive tasks of the tokio runtime.",
);
const QUEUE_DEPTH: FamilyDefinition = FamilyDefinition::new(
    "tokio_global_queue_depth",
    MetricKind::Gauge,
    None,
    "Number of tasks in the global queue of the tokio runtime.",
);
const BUSY: FamilyDefinition = FamilyDefinition::new(
    "tokio_worker_busy_seconds_total",
    MetricKind::Counter,
    Some(Unit::Seconds),
    "Total busy time of worker threads in seconds, by worker.",
);
const PARKS: FamilyDefinition = FamilyDefinition::new(
    "tokio_worker_parks_total",
    MetricKind::Counter,
    None,
    "Total number of times worker threads parked, by worker.",
);

/// A collector of the metrics of a tokio runtime that do not require `tokio_unstable`.
///
/// | metric | type | labels | description |
/// |---|---|---|---|
/// | `tokio_workers` | gauge | | worker threads |
/// | `tokio_alive_tasks` | gauge | | tasks that have not ended |
/// | `tokio_global_queue_depth` | gauge | | tasks in the global queue |
/// | `tokio_worker_busy_seconds_total` | counter | `worker` | time a worker was busy; a rate of 1 means always |
/// | `tokio_worker_parks_total` | counter | `worker` | times a worker parked because it had nothing to do |
///
/// The counters are available on targets with 64-bit atomics only.
#[derive(Clone)]
pub struct RuntimeCollector {
    metrics: RuntimeMetrics,
}

impl RuntimeCollector {
    /// Creates a collector for the current runtime.
    ///
    /// # Errors
    ///
    /// Returns an error if called outside a tokio runtime.
    pub fn current() -> Result<Self, Error> {
        let handle = Handle::try_current().map_err(|_| {
            Error::new(
                "RuntimeCollector::current: no tokio runtime on this thread; call it inside a runtime, or pass a \
                 handle to `RuntimeCollector::of`",
            )
        })?;
        Ok(Self::of(&handle))
    }

    /// Creates a collector for the runtime of `handle`.
    #[must_use]
    pub fn of(handle: &Handle) -> Self {
        let metrics = handle.metrics();
        Self { metrics }
    }

    /// Returns the descriptions of the metrics, for tables, dashboards and rules.
    #[must_use]
    pub fn families() -> Vec<FamilyDescription> {
        let worker = LabelDescription::new("worker");
        let by_worker = [BUSY, PARKS].map(|family| {
            let mut description = family.describe();
            description.labels.push(worker.clone());
            description
        });
        let plain = [WORKERS, ALIVE_TASKS, QUEUE_DEPTH].map(FamilyDefinition::describe);
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
