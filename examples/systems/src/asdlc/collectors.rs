//! Collectors: gauges of the worker pool, of Redis and of the process, gathered at scrape time.

use std::sync::Arc;

use tokio::time::timeout_at;
use tower_prometheus::collect::{CollectError, Collector, Deadline, Samples};
use tower_prometheus::collectors::ProcessMemory;
use tower_prometheus::{Error, Registry};

use super::broker::Broker;
use super::metrics::{ACTIVE_TASKS, ACTIVE_WORKERS, PROCESS_MEMORY, QUEUE_LENGTH, REDIS_UP};
use super::pool::PoolState;

/// Registers the collectors of a service.
pub fn register(
    registry: &Registry,
    pool: Arc<PoolState>,
    broker: Broker,
    queue: &'static str,
) -> Result<(), Error> {
    registry.collector("pool", move |samples: &mut Samples| {
        ACTIVE_TASKS.of(samples).value(pool.active_tasks());
        ACTIVE_WORKERS.of(samples).value(pool.active_workers());
        Ok(())
    })?;
    registry.collector("memory", memory)?;
    registry.collector("redis", RedisCheck(broker.clone()))?;
    registry.collector("queue", QueueLength { broker, queue })?;
    Ok(())
}

fn memory(samples: &mut Samples) -> Result<(), CollectError> {
    let memory = ProcessMemory::now()?;
    PROCESS_MEMORY
        .of(samples)
        .sample(&[("type", "rss")], memory.resident)
        .sample(&[("type", "vms")], memory.virtual_size);
    Ok(())
}

/// Sends a PING to Redis, within the deadline of the scraper. If Redis is down, the gauge is 0; the
/// collector does not fail.
struct RedisCheck(Broker);

impl Collector for RedisCheck {
    async fn collect(&self, deadline: Deadline, samples: &mut Samples) -> Result<(), CollectError> {
        let pong = timeout_at(deadline.instant(), self.0.ping()).await;
        REDIS_UP.of(samples).value(matches!(pong, Ok(Ok(()))));
        Ok(())
    }
}

/// The length of the queue. Without Redis it is unknown: the collector fails, the gauge is missing,
/// and a warning is logged.
struct QueueLength {
    broker: Broker,
    queue: &'static str,
}

impl Collector for QueueLength {
    async fn collect(&self, deadline: Deadline, samples: &mut Samples) -> Result<(), CollectError> {
        let length = timeout_at(deadline.instant(), self.broker.length(self.queue)).await??;
        QUEUE_LENGTH.of(samples).value(length);
        Ok(())
    }
}
