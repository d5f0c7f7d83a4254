//! [`Service`]: what the orchestrator and the workers have in common.

use std::error::Error;

use tower_prometheus::{MetricsHandler, Registry};

use super::Options;
use super::broker::Broker;
use super::collectors::with_collectors;
use super::metrics::{Asdlc, Build};
use super::pool::{Work, WorkerPool};
use super::shutdown::Shutdown;

/// What makes a service this one.
pub struct Role<W> {
    /// The constant label `service`.
    pub name: &'static str,
    /// The queue that its pool works at, what it does there, and with how many workers.
    pub queue: &'static str,
    pub work: W,
    pub workers: usize,
}

/// A service with its own registry, its pool and its page; it lacks only a server.
pub struct Service {
    pub registry: Registry,
    pub broker: Broker,
    pub pool: WorkerPool,
    pub page: MetricsHandler,
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
        let page = with_collectors(registry.handler(), state, broker.clone(), queue);
        Ok(Self {
            registry,
            broker,
            pool,
            page: match options.strict {
                true => page.fail_on_collect_error(),
                false => page,
            },
        })
    }
}
