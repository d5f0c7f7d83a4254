//! OpenClaw: task orchestration. Nodes hold a lease for each task that they execute.
//!
//! ```text
//! $ cargo run --release -p systems --bin openclaw
//! http://127.0.0.1:41273/metrics
//! $ curl --json '{"capability":"compile","complexity":"low","work_ms":50}' http://127.0.0.1:41273/tasks
//! {"lease":51,"node":"atlas","task":49}
//! ```
//!
//! - Counters and histograms are recorded where the event happens, by the methods in `metrics.rs`.
//! - Gauges (active leases, buffered results, a partition) come from collectors that ask the services at scrape time:
//!   `pulled.rs`.
//! - `/metrics` is on the application's own port.
//!
//! | argument or variable | |
//! |---|---|
//! | `--no-traffic` | without the built-in client |
//! | `--families` | prints the table of its metric families and exits |
//! | `PORT` | the port; a free one by default |
//!
//! Ctrl-C or SIGTERM shuts it down after the requests in progress.

mod api;
pub mod audit;
pub mod leases;
pub mod metrics;
pub mod mixin;
mod node;
mod orchestrator;
pub mod partition;
pub mod pulled;
pub mod results;
pub mod task;
mod tokens;
mod traffic;

use std::env;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::sleep;
use tower_prometheus::{Registry, model::families_table};

use self::metrics::OpenClaw;
use self::node::Node;
use self::orchestrator::Orchestrator;

/// Limit for requests that are in progress at shutdown.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

const NODES: [Node; 2] = [
    Node {
        name: "atlas",
        capabilities: &["compile", "test"],
        scopes: &["public", "internal"],
        memory_mb: 4096,
    },
    Node {
        name: "borealis",
        capabilities: &["compile", "train"],
        scopes: &["public"],
        memory_mb: 65_536,
    },
];

/// Runs the server until Ctrl-C or SIGTERM.
pub async fn run() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let is_told = |flag: &str| env::args().any(|argument| argument == flag);
    if is_told("--families") {
        print!("{}", families_table(&metrics::families()?));
        return Ok(());
    }
    let registry = Registry::builder().install()?;
    let app = app(&registry)?;
    // Installed before the address is printed: a signal after that is a graceful shutdown.
    let ended = ended()?;

    let port = env::var("PORT").unwrap_or_else(|_| "0".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    let url = format!("http://{}", listener.local_addr()?);
    println!("{url}/metrics");
    if !is_told("--no-traffic") {
        tokio::spawn(traffic::drive(url));
    }
    let end = |mut ended: watch::Receiver<bool>| async move {
        // An error means that the sender is gone.
        let _ = ended.wait_for(|ended| *ended).await;
    };
    let late = end(ended.clone());
    let serve = axum::serve(listener, app).with_graceful_shutdown(end(ended));
    tokio::select! {
        served = serve => Ok(served?),
        () = async { late.await; sleep(SHUTDOWN_TIMEOUT).await } => Err("requests in progress did not end in time".into()),
    }
}

/// Becomes true by Ctrl-C or SIGTERM.
fn ended() -> io::Result<watch::Receiver<bool>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (sender, ended) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        sender.send_replace(true);
    });
    Ok(ended)
}

/// The service with its layer and `/metrics`; everything records into `registry`.
pub fn app(registry: &Registry) -> Result<Router, tower_prometheus::Error> {
    let orchestrator = Orchestrator::start(OpenClaw::on(registry)?, NODES);
    let Orchestrator {
        leases,
        results,
        detector,
        ..
    } = &*orchestrator;
    pulled::register(registry, leases, results, detector)?;
    Ok(api::router(Arc::clone(&orchestrator))
        .route_service("/metrics", registry.handler())
        .layer(metrics::http().build(registry)?))
}
