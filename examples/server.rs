//! Collectors and `MetricsServer`: a background worker that serves its metrics page on a separate port.
//!
//! ```text
//! $ cargo run --example server --features server
//! $ curl -s http://127.0.0.1:8081/metrics | grep -v -e '^#' -e duration
//! active_leases 2
//! build_info{version="1.2.0"} 1
//! cache_up 0
//! jobs_total{result="success"} 3
//! lease_age_seconds{lease="orders"} 30
//! lease_age_seconds{lease="users"} 4.5
//! scrape_collector_success{collector="active_leases"} 1
//! scrape_collector_success{collector="build"} 1
//! scrape_collector_success{collector="cache"} 1
//! scrape_collector_success{collector="disk"} 0
//! scrape_collector_success{collector="leases"} 1
//! $ curl -s http://127.0.0.1:8081/health
//! ok
//! ```
//!
//! The cache does not respond: the metrics page is served in time all the same, with `cache_up 0`. The
//! collector `disk` fails: its metrics are missing, and a warning in the log has the reason. The environment
//! variable `METRICS_PORT` sets another port.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tower_prometheus::collect::{Blocking, CollectError, Collector, Deadline, Samples};
use tower_prometheus::collectors::InfoCollector;
use tower_prometheus::{Registry, scrape::MetricsServer};

/// The leases that the worker holds, with their ages.
struct Leases(BTreeMap<&'static str, Duration>);

/// A collector that pings the cache.
struct CacheCheck;

impl Collector for CacheCheck {
    async fn collect(&self, deadline: Deadline, samples: &mut Samples) -> Result<(), CollectError> {
        let pong = tokio::time::timeout_at(deadline.instant(), ping()).await;
        samples
            .gauge("cache_up", "Whether the cache responds in time: 1 or 0.")
            .value(pong.is_ok());
        Ok(())
    }
}

/// Stands for a cache that never responds.
async fn ping() {
    std::future::pending::<()>().await;
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let metrics = Registry::builder().install()?;
    let leases = Arc::new(Leases(BTreeMap::from([
        ("orders", Duration::from_secs(30)),
        ("users", Duration::from_millis(4500)),
    ])));
    let counted = Arc::clone(&leases);
    metrics.gauge("active_leases", "Number of leases held.", move || {
        counted.0.len()
    })?;
    metrics.collector("leases", move |samples: &mut Samples| {
        let mut ages = samples.gauge("lease_age_seconds", "Age of each lease in seconds.");
        for (lease, age) in &leases.0 {
            ages.sample(&[("lease", lease)], *age);
        }
        Ok(())
    })?;
    metrics.collector("cache", CacheCheck)?;
    metrics.collector("disk", Blocking::new(free_space))?;
    metrics.collector("build", InfoCollector::build("1.2.0"))?;

    run_jobs();

    let server = match MetricsServer::from_env().await? {
        Some(server) => server,
        None => MetricsServer::bind("127.0.0.1:8081").await?,
    };
    if let Some(address) = server.local_addr() {
        println!("curl -s http://{address}/metrics");
    }
    server
        .serve(metrics.handler(), std::future::pending())
        .await;
    Ok(())
}

/// Fails, because the file does not exist.
fn free_space(samples: &mut Samples) -> Result<(), CollectError> {
    let free: u64 = std::fs::read_to_string("/no/such/disk/free")?
        .trim()
        .parse()?;
    samples
        .gauge("disk_free_bytes", "Free disk space in bytes.")
        .value(free);
    Ok(())
}

/// Records a counter where the event happens, not at scrape time.
fn run_jobs() {
    metrics::counter!("jobs_total", "result" => "success").increment(3);
}
