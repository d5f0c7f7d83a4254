//! The metrics of both services.

use tower_prometheus::collect::{FamilySamples, Samples};
use tower_prometheus::{
    Counter, Error, Histogram, HttpMetrics, Info, Operation, Unit, buckets, catalogue,
    custom::Outcome,
    labels,
    model::{FamilyDescription, LabelDescription, MetricKind},
};

labels! {
    pub struct Build {
        version: open(1),
    }

    /// How an event ended.
    pub enum EventStatus {
        Success = "success",
        Failed = "failed",
    }

    /// Clients choose the event types, so there is a limit.
    pub struct Processed {
        event_type: open(50),
        status: EventStatus,
    }

    /// The commands that are sent to Redis. The duration of `blmove` includes the wait for an event.
    pub enum RedisOperation("operation") {
        Ping = "ping",
        Incr = "incr",
        Get = "get",
        Llen = "llen",
        Blmove = "blmove",
        Lmove = "lmove",
        Exec = "exec",
    }
}

catalogue! {
    /// Metrics that are recorded where the event happens.
    #[prefix = "asdlc_"]
    pub struct Asdlc {
        /// Version of the service.
        pub service_info: Info<Build>,
        /// Total number of events processed, by type and status.
        pub events_processed_total: Counter<Processed>,
        /// Duration of Redis operations in seconds.
        pub redis_operation_duration_seconds: Histogram<RedisOperation> {
            buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5]
        },
    }
}

impl Asdlc {
    /// Counts the processing of an event, however it ends.
    pub async fn processing<E>(
        self,
        event_type: &str,
        work: impl Future<Output = Result<(), E>>,
    ) -> Result<(), E> {
        Operation::new()
            .count(|end| {
                let status = match end.outcome {
                    Outcome::Success => EventStatus::Success,
                    _ => EventStatus::Failed,
                };
                let processed = Processed { event_type, status };
                self.events_processed_total.with(processed)
            })
            .run(work)
            .await
    }

    /// Times a Redis command, however it ends, also if its caller stops waiting.
    pub async fn redis<T, E>(
        self,
        operation: RedisOperation,
        command: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        Operation::new()
            .duration(|_| self.redis_operation_duration_seconds.with(operation))
            .run(command)
            .await
    }
}

/// A gauge that a collector exports.
pub struct CollectedGauge {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    label: Option<(&'static str, &'static [&'static str])>,
}

pub const ACTIVE_TASKS: CollectedGauge =
    CollectedGauge::new("asdlc_active_tasks", "Number of events in progress.");
pub const ACTIVE_WORKERS: CollectedGauge =
    CollectedGauge::new("asdlc_active_workers", "Number of workers in the pool.");
pub const QUEUE_LENGTH: CollectedGauge = CollectedGauge::new(
    "asdlc_queue_length",
    "Number of events waiting for this service.",
);
pub const REDIS_UP: CollectedGauge = CollectedGauge::new(
    "asdlc_redis_connection_up",
    "Whether Redis answered a PING in time (1) or not (0).",
);
pub const PROCESS_MEMORY: CollectedGauge = CollectedGauge {
    name: "asdlc_process_memory_bytes",
    help: "Memory of the process in bytes, by type.",
    unit: Some(Unit::Bytes),
    label: Some(("type", &["rss", "vms"])),
};

impl CollectedGauge {
    const fn new(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            help,
            unit: None,
            label: None,
        }
    }

    /// The metric family in the samples of a collector.
    pub fn of<'a>(&self, samples: &'a mut Samples) -> FamilySamples<'a> {
        let mut family = samples.gauge(self.name, self.help);
        if let Some(unit) = self.unit {
            family.unit(unit);
        }
        family
    }

    fn describe(&self) -> FamilyDescription {
        let mut family = FamilyDescription::new(self.name, MetricKind::Gauge);
        family.help = self.help.to_owned();
        family.unit = self.unit;
        let labels = self
            .label
            .iter()
            .map(|(name, values)| LabelDescription::new(*name).values(values.iter().copied()));
        family.labels = labels.collect();
        family
    }
}

/// The HTTP layer of both services.
pub fn http() -> HttpMetrics {
    HttpMetrics::server()
        .prefix("asdlc")
        .duration_buckets(buckets::DEFAULT)
}

/// Every metric family, for dashboards and rules.
pub fn families() -> Result<Vec<FamilyDescription>, Error> {
    let mut families = http().families()?;
    families.extend(Asdlc::families());
    let collected = [
        ACTIVE_TASKS,
        ACTIVE_WORKERS,
        QUEUE_LENGTH,
        REDIS_UP,
        PROCESS_MEMORY,
    ];
    families.extend(collected.iter().map(CollectedGauge::describe));
    Ok(families)
}
