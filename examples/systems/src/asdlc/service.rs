//! [`Service`]: the common part of the orchestrator and the workers.

use std::error::Error;

use tower_prometheus::{MetricsHandler, Registry};

use super::Options;
use super::broker::Broker;
use super::collectors;
use super::metrics::{Asdlc, Build};
use super::pool::{Work, WorkerPool};
use super::shutdown::Shutdown;

/// The parts in which the two services differ.
pub struct Role<W> {
    /// The constant label `service`.
    pub name: &'static str,
    /// The queue of the worker pool.
    pub queue: &'static str,
    /// How the pool processes events.
    pub work: W,
    /// The number of workers in the pool.
    pub workers: usize,
}

/// The parts of a service except its HTTP server: registry, worker pool and metrics page.
pub struct Service {
    pub registry: Registry,
    pub broker: Broker,
    pub pool: WorkerPool,
    pub metrics_handler: MetricsHandler,
}

impl Service {
    pub fn start(
        role: Role<impl Work>,
        redis: &str,
        options: &Options,
        shutdown: &Shutdown,
    ) -> Result<Self, Box<dyn Error>> {
        let Role {
            name,
            queue,
            work,
            workers,
        } = role;
        let registry = Registry::builder()
            .constant_label("service", name)
            .build()?;
        let metrics = Asdlc::on(&registry)?;
        let version = env!("CARGO_PKG_VERSION");
        metrics.service_info.set(Build { version });
        let broker = Broker::open(redis, metrics)?;
        let names = (1..=workers).map(|number| format!("{}:worker-{number}", options.instance));
        let pool = WorkerPool::start(names, queue, work, &broker, metrics, shutdown);
        let state = pool.state.clone();
        collectors::register(&registry, state, broker.clone(), queue)?;
        let handler = registry.handler();
        Ok(Self {
            registry,
            broker,
            pool,
            metrics_handler: match options.strict {
                true => handler.fail_on_collect_error(),
                false => handler,
            },
        })
    }
}
