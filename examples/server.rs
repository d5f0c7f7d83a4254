//! A worker without any HTTP of its own: numbers that are asked for when Prometheus scrapes, on a port of
//! their own.
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
//! The cache hangs, and the page comes in time and says that it is down. The disk cannot be read: a warning in the
//! log says why. Another port: `METRICS_PORT=9000`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tower_prometheus::collect::{Blocking, CollectError, Collector, Deadline, Samples};
use tower_prometheus::collectors::InfoCollector;
use tower_prometheus::{Registry, scrape::MetricsServer};

/// What the worker has, and is asked for.
struct Leases(BTreeMap<&'static str, Duration>);

/// Whether the cache answers, by asking it.
struct CacheCheck;

impl Collector for CacheCheck {
    async fn collect(&self, deadline: Deadline, samples: &mut Samples) -> Result<(), CollectError> {
        let pong = tokio::time::timeout_at(deadline.instant(), ping()).await;
        samples
            .gauge("cache_up", "Whether the cache answers in time.")
            .value(pong.is_ok());
        Ok(())
    }
}

/// This cache hangs.
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
    let held = Arc::clone(&leases);
    metrics.gauge("active_leases", "Leases held.", move || held.0.len())?;
    metrics.collector("leases", move |samples: &mut Samples| {
        let mut ages = samples.gauge("lease_age_seconds", "Time that a lease is held.");
        for (lease, age) in &leases.0 {
            ages.sample(&[("lease", lease)], *age);
        }
        Ok(())
    })?;
    metrics.collector("cache", CacheCheck)?;
    metrics.collector("disk", Blocking::new(free_space))?;
    metrics.collector("build", InfoCollector::build("1.2.0"))?;

    work();

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

/// Reads a file that is not there.
fn free_space(samples: &mut Samples) -> Result<(), CollectError> {
    let free: u64 = std::fs::read_to_string("/no/such/disk/free")?
        .trim()
        .parse()?;
    samples.gauge("disk_free_bytes", "Free space.").value(free);
    Ok(())
}

/// What happens is recorded where it happens.
fn work() {
    metrics::counter!("jobs_total", "result" => "success").increment(3);
}
