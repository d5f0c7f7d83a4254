//! [`WorkerPool`]: workers that process events from a Redis queue until shutdown.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use redis::{Pipeline, RedisResult};
use tokio::task::JoinSet;

use super::broker::{Broker, Consumer, reason};
use super::event::Event;
use super::metrics::Asdlc;
use super::shutdown::Shutdown;

/// Pause between two attempts to connect to Redis.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// How the workers of a pool process events.
pub trait Work: Send + Sync + 'static {
    /// Processes an event. Fails with the reason.
    fn process(&self, event: &Event) -> impl Future<Output = Result<(), String>> + Send;

    /// Returns Redis commands for the result of an event, to run in the transaction that removes the event.
    fn commands_at_end(&self, event: &Event, result: &Result<(), String>) -> Pipeline;
}

/// A count of live guards.
#[derive(Default)]
struct GuardCount(AtomicUsize);

struct Guard<'a>(&'a AtomicUsize);

impl GuardCount {
    fn increment(&self) -> Guard<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Guard(&self.0)
    }

    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The numbers of active workers and tasks of a pool.
#[derive(Default)]
pub struct PoolState {
    workers: GuardCount,
    tasks: GuardCount,
}

impl PoolState {
    /// Returns the number of workers that have not stopped.
    pub fn active_workers(&self) -> usize {
        self.workers.get()
    }

    /// Returns the number of events in progress.
    pub fn active_tasks(&self) -> usize {
        self.tasks.get()
    }
}

/// Workers that share a queue.
pub struct WorkerPool {
    pub state: Arc<PoolState>,
    workers: JoinSet<()>,
}

impl WorkerPool {
    /// Starts one worker per name.
    pub fn start(
        names: impl Iterator<Item = String>,
        queue: &'static str,
        work: impl Work,
        broker: &Broker,
        metrics: Asdlc,
        shutdown: &Shutdown,
    ) -> Self {
        let state = Arc::<PoolState>::default();
        let work = Arc::new(work);
        let mut workers = JoinSet::new();
        for name in names {
            let worker = Worker {
                name,
                queue,
                work: Arc::clone(&work),
                broker: broker.clone(),
                metrics,
                state: Arc::clone(&state),
            };
            workers.spawn(worker.run(shutdown.clone()));
        }
        Self { state, workers }
    }

    /// Waits until every worker has finished its event.
    pub async fn stopped(self) {
        self.workers.join_all().await;
    }
}

struct Worker<W> {
    name: String,
    queue: &'static str,
    work: Arc<W>,
    broker: Broker,
    metrics: Asdlc,
    state: Arc<PoolState>,
}

impl<W: Work> Worker<W> {
    /// Processes events until shutdown, and reconnects whenever Redis is unreachable. Logs one
    /// warning per outage.
    async fn run(self, shutdown: Shutdown) {
        let _active = self.state.workers.increment();
        let mut is_unreachable = false;
        while !shutdown.is_requested() {
            let consumed = match self.broker.consumer(self.queue, &self.name).await {
                Ok(consumer) => {
                    is_unreachable = false;
                    self.consume(consumer, &shutdown).await
                }
                Err(error) => Err(error),
            };
            let Err(error) = consumed else { continue };
            if !std::mem::replace(&mut is_unreachable, true) {
                tracing::warn!(
                    "worker {} of queue {} cannot reach Redis, retrying: {}",
                    self.name,
                    self.queue,
                    reason(&error)
                );
            }
            tokio::select! {
                () = shutdown.requested() => {}
                () = tokio::time::sleep(RETRY_INTERVAL) => {}
            }
        }
    }

    async fn consume(&self, mut consumer: Consumer, shutdown: &Shutdown) -> RedisResult<()> {
        while !shutdown.is_requested() {
            if let Some(event) = consumer.take().await? {
                self.process(&mut consumer, &event).await?;
            }
        }
        Ok(())
    }

    async fn process(&self, consumer: &mut Consumer, text: &str) -> RedisResult<()> {
        let _active = self.state.tasks.increment();
        let commands = match Event::from_json(text) {
            Ok(event) => {
                let work = self.work.process(&event);
                let result = self.metrics.processing(&event.event_type, work).await;
                self.work.commands_at_end(&event, &result)
            }
            Err(error) => {
                tracing::warn!("invalid event in queue {}: {error}", self.queue);
                let failed = async { Err(error) };
                let _ = self.metrics.processing("unreadable", failed).await;
                redis::pipe()
            }
        };
        consumer.finish(text, commands).await
    }
}
