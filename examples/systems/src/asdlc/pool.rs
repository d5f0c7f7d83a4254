//! [`WorkerPool`]: workers that take events from a queue in Redis until they are told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use redis::{Pipeline, RedisResult};
use tokio::task::JoinSet;

use super::broker::{Broker, Consumer, reason};
use super::event::Event;
use super::metrics::Asdlc;
use super::shutdown::Shutdown;

/// Between two attempts to reach a Redis that is away.
const PAUSE: Duration = Duration::from_millis(100);

/// What is done with events.
pub trait Work: Send + Sync + 'static {
    /// Does it, or says why it failed.
    fn process(&self, event: &Event) -> impl Future<Output = Result<(), String>> + Send;

    /// What Redis is told when it is done, in the transaction that ends the event.
    fn conclude(&self, event: &Event, result: &Result<(), String>) -> Pipeline;
}

/// How many there are of something, each as long as its guard lives.
#[derive(Default)]
struct Gauge(AtomicUsize);

struct Guard<'a>(&'a AtomicUsize);

impl Gauge {
    fn enter(&self) -> Guard<'_> {
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

/// What can be asked about a pool while it runs.
#[derive(Default)]
pub struct PoolState {
    workers: Gauge,
    tasks: Gauge,
}

impl PoolState {
    /// Workers that have not stopped.
    pub fn active_workers(&self) -> usize {
        self.workers.get()
    }

    /// Events that are being processed.
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
    /// Starts workers of these names.
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
    /// Consumes until the shutdown, however often Redis goes away. The log hears of it once each time.
    async fn run(self, shutdown: Shutdown) {
        let _active = self.state.workers.enter();
        let mut is_away = false;
        while !shutdown.has_begun() {
            let consumed = match self.broker.consumer(self.queue, &self.name).await {
                Ok(consumer) => {
                    is_away = false;
                    self.consume(consumer, &shutdown).await
                }
                Err(error) => Err(error),
            };
            let Err(error) = consumed else { continue };
            if !std::mem::replace(&mut is_away, true) {
                tracing::warn!("{} of {}: {}", self.name, self.queue, reason(&error));
            }
            tokio::select! {
                () = shutdown.begun() => {}
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    async fn consume(&self, mut consumer: Consumer, shutdown: &Shutdown) -> RedisResult<()> {
        while !shutdown.has_begun() {
            if let Some(event) = consumer.take().await? {
                self.process(&mut consumer, &event).await?;
            }
        }
        Ok(())
    }

    async fn process(&self, consumer: &mut Consumer, text: &str) -> RedisResult<()> {
        let _active = self.state.tasks.enter();
        let then = match Event::from_json(text) {
            Ok(event) => {
                let work = self.work.process(&event);
                let result = self.metrics.processing(&event.event_type, work).await;
                self.work.conclude(&event, &result)
            }
            Err(error) => {
                tracing::warn!("an event of {} cannot be read: {error}", self.queue);
                let failed = async { Err(error) };
                let _ = self.metrics.processing("unreadable", failed).await;
                redis::pipe()
            }
        };
        consumer.finish(text, then).await
    }
}
