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
//! - Gauges (active leases, buffered results, network partition) come from collectors, which read
//!   the services at scrape time: `collectors.rs`.
//! - `/metrics` is served on the port of the application.
//!
//! | argument or variable | |
//! |---|---|
//! | `--no-traffic` | do not start the built-in client |
//! | `--families` | print the table of the metric families and exit |
//! | `PORT` | the port; a free one by default |
//!
//! Ctrl-C or SIGTERM shuts it down after the requests in progress.

mod api;
pub mod audit;
pub mod collectors;
pub mod leases;
pub mod metrics;
pub mod mixin;
mod node;
mod orchestrator;
pub mod partition;
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
    let has_flag = |flag: &str| env::args().any(|argument| argument == flag);
    if has_flag("--families") {
        print!("{}", families_table(&metrics::families()?));
        return Ok(());
    }
    let registry = Registry::builder().install()?;
    let app = app(&registry)?;
    // Installed before the address is printed, so that any signal after that causes a graceful shutdown.
    let shutdown = shutdown()?;

    let port = env::var("PORT").unwrap_or_else(|_| "0".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    let url = format!("http://{}", listener.local_addr()?);
    println!("{url}/metrics");
    if !has_flag("--no-traffic") {
        tokio::spawn(traffic::drive(url));
    }
    let requested = |mut shutdown: watch::Receiver<bool>| async move {
        // Fails only if the sender was dropped: then the runtime is shutting down.
        let _ = shutdown.wait_for(|requested| *requested).await;
    };
    let timeout_start = requested(shutdown.clone());
    let serve = axum::serve(listener, app).with_graceful_shutdown(requested(shutdown));
    tokio::select! {
        served = serve => Ok(served?),
        () = async { timeout_start.await; sleep(SHUTDOWN_TIMEOUT).await } => {
            Err(format!("requests in progress did not end within {SHUTDOWN_TIMEOUT:?}").into())
        }
    }
}

/// Returns a value that becomes `true` on Ctrl-C or SIGTERM.
fn shutdown() -> io::Result<watch::Receiver<bool>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (sender, shutdown) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        sender.send_replace(true);
    });
    Ok(shutdown)
}

/// Returns the service with its metrics layer and `/metrics`. All metrics are recorded into `registry`.
pub fn app(registry: &Registry) -> Result<Router, tower_prometheus::Error> {
    let orchestrator = Orchestrator::start(OpenClaw::on(registry)?, NODES);
    let Orchestrator {
        leases,
        results,
        detector,
        ..
    } = &*orchestrator;
    collectors::register(registry, leases, results, detector)?;
    Ok(api::router(Arc::clone(&orchestrator))
        .route_service("/metrics", registry.handler())
        .layer(metrics::http().build(registry)?))
}
