use tokio::time::timeout_at;
use tower_prometheus::collect::{CollectError, Collector, Deadline, Samples};
use tower_prometheus::custom::Owned;
use tower_prometheus::model::{FamilyDescription, LabelDescription, MetricKind};
use tower_prometheus::{Counter, Error, InProgress, Registry, catalogue, labels};

labels! {
    pub struct PoolName {
        pool: open(20),
    }
}

catalogue! {
    /// Metrics of acquiring connections.
    pub struct PoolMetrics {
        /// Number of tasks that wait for a connection, by pool.
        pub db_pool_waiting: InProgress<PoolName>,
        /// Total number of times that no connection was available in time, by pool.
        pub db_pool_timeouts_total: Counter<PoolName>,
    }
}

const CONNECTIONS: (&str, &str) = (
    "db_pool_connections",
    "Number of connections of the pool, by state.",
);
const MAX: (&str, &str) = (
    "db_pool_connections_max",
    "Maximum number of connections of the pool.",
);
const UP: (&str, &str) = ("db_pool_up", "Whether the database accepts connections.");

/// Returns the definitions of all metrics of pools, for dashboards and alerts.
pub fn families() -> Vec<FamilyDescription> {
    let mut families = PoolMetrics::families();
    let states = LabelDescription::new("state").values(["idle", "in_use"]);
    for ((name, help), state) in [(CONNECTIONS, Some(states)), (MAX, None), (UP, None)] {
        let family = FamilyDescription::new(name, MetricKind::Gauge)
            .help(help)
            .label(LabelDescription::new("pool"));
        families.push(match state {
            Some(state) => family.label(state),
            None => family,
        });
    }
    families
}

/// A connection pool that can be measured.
pub trait ConnectionPool: Clone + Send + Sync + 'static {
    type Connection;
    type Error;

    /// Takes an idle connection, opens one, or waits for one.
    fn acquire(&self) -> impl Future<Output = Result<Self::Connection, Self::Error>> + Send;

    /// Returns whether no connection was available in time.
    fn is_timeout(error: &Self::Error) -> bool;

    /// Returns the current size, without waiting.
    fn size(&self) -> PoolSize;

    /// Opens a connection that does not belong to the pool, and closes it. Returns whether that worked.
    fn can_connect(&self) -> impl Future<Output = bool> + Send;
}

/// Numbers of connections.
pub struct PoolSize {
    pub open: u64,
    pub idle: u64,
    pub max: u64,
}

/// A connection pool with metrics.
#[derive(Clone)]
pub struct MeasuredPool<P> {
    pool: P,
    waiting: InProgress<Owned>,
    timeouts: Counter<Owned>,
}

impl<P: ConnectionPool> MeasuredPool<P> {
    /// Registers the metrics of a pool. `name` is the value of the label `pool`.
    pub fn new(metrics: &Registry, name: &'static str, pool: P) -> Result<Self, Error> {
        let recorded = PoolMetrics::on(metrics)?;
        let collector = PoolCollector {
            name,
            pool: pool.clone(),
        };
        metrics.collector(&format!("db_pool_{name}"), collector)?;
        Ok(Self {
            pool,
            waiting: recorded.db_pool_waiting.with(PoolName { pool: name }),
            timeouts: recorded
                .db_pool_timeouts_total
                .with(PoolName { pool: name }),
        })
    }

    /// Acquires a connection of the pool.
    pub async fn acquire(&self) -> Result<P::Connection, P::Error> {
        let waiting = self.waiting.start();
        let result = self.pool.acquire().await;
        drop(waiting);
        if let Err(error) = &result
            && P::is_timeout(error)
        {
            self.timeouts.increment();
        }
        result
    }
}

struct PoolCollector<P> {
    name: &'static str,
    pool: P,
}

impl<P: ConnectionPool> Collector for PoolCollector<P> {
    async fn collect(&self, deadline: Deadline, samples: &mut Samples) -> Result<(), CollectError> {
        let size = self.pool.size();
        let in_use = size.open.saturating_sub(size.idle);
        samples
            .gauge(CONNECTIONS.0, CONNECTIONS.1)
            .sample(&[("pool", self.name), ("state", "idle")], size.idle)
            .sample(&[("pool", self.name), ("state", "in_use")], in_use);
        samples
            .gauge(MAX.0, MAX.1)
            .sample(&[("pool", self.name)], size.max);
        // A database that does not answer is down. The sizes are exported all the same.
        let up = timeout_at(deadline.instant(), self.pool.can_connect()).await;
        samples
            .gauge(UP.0, UP.1)
            .sample(&[("pool", self.name)], up.unwrap_or(false));
        Ok(())
    }
}
