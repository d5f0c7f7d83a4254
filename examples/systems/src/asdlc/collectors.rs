//! What is asked for when Prometheus scrapes: the pool, Redis, the process.

use std::sync::Arc;

use tokio::time::timeout_at;
use tower_prometheus::MetricsHandler;
use tower_prometheus::collect::{CollectError, Collector, Deadline, Samples};
use tower_prometheus::collectors::ProcessMemory;

use super::broker::Broker;
use super::metrics::{ACTIVE_TASKS, ACTIVE_WORKERS, PROCESS_MEMORY, QUEUE_LENGTH, REDIS_UP};
use super::pool::PoolState;

/// The page of a service with all its collectors.
pub fn with_collectors(
    page: MetricsHandler,
    pool: Arc<PoolState>,
    broker: Broker,
    queue: &'static str,
) -> MetricsHandler {
    let check = RedisCheck(broker.clone());
    page.collector("pool", move |samples: &mut Samples| {
        ACTIVE_TASKS.of(samples).value(pool.active_tasks());
        ACTIVE_WORKERS.of(samples).value(pool.active_workers());
        Ok(())
    })
    .collector("memory", memory)
    .collector("redis", check)
    .collector("queue", QueueLength { broker, queue })
}

fn memory(samples: &mut Samples) -> Result<(), CollectError> {
    let memory = ProcessMemory::now()?;
    PROCESS_MEMORY
        .of(samples)
        .sample(&[("type", "rss")], memory.resident)
        .sample(&[("type", "vms")], memory.virtual_size);
    Ok(())
}

/// Asks Redis, as long as the scraper waits. That it is down is an answer, not a failure.
struct RedisCheck(Broker);

impl Collector for RedisCheck {
    async fn collect(&self, deadline: Deadline, samples: &mut Samples) -> Result<(), CollectError> {
        let pong = timeout_at(deadline.instant(), self.0.ping()).await;
        REDIS_UP.of(samples).value(matches!(pong, Ok(Ok(()))));
        Ok(())
    }
}

/// Without Redis nobody knows how many events wait: then there is no such number on the page, and a warning.
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
