//! OpenClaw: tasks, the nodes that do them under leases, and all that can go wrong between them.
//!
//! ```text
//! $ cargo run --example openclaw
//! http://127.0.0.1:41273/metrics
//! $ curl --json '{"capability":"compile","complexity":"low","work_ms":50}' http://127.0.0.1:41273/tasks
//! {"lease":51,"node":"atlas","task":49}
//! ```
//!
//! What happens is counted where it happens, by the methods of `metrics.rs`; what the services *have* (leases,
//! waiting results, a partition) they are asked for when Prometheus scrapes, in `pulled.rs`. The page is on the
//! app's own port, `PORT` or a free one. It sends itself a little traffic, unless told `--no-traffic`; `--families`
//! prints the table of its families.

#![expect(unreachable_pub, reason = "modules of a program")]

pub mod api;
pub mod audit;
pub mod leases;
pub mod metrics;
#[cfg(feature = "mixin")]
#[expect(dead_code, reason = "its files are in the repository, under mixin")]
pub mod mixin;
pub mod node;
pub mod orchestrator;
pub mod partition;
pub mod pulled;
pub mod results;
pub mod task;
pub mod tokens;
pub mod traffic;

use std::env;
use std::error::Error;
use std::sync::Arc;

use axum::Router;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tower_prometheus::{Registry, families_table};

use self::metrics::OpenClaw;
use self::node::Node;
use self::orchestrator::Orchestrator;

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

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
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

    let port = env::var("PORT").unwrap_or_else(|_| "0".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    let url = format!("http://{}", listener.local_addr()?);
    println!("{url}/metrics");
    if !is_told("--no-traffic") {
        tokio::spawn(traffic::drive(url));
    }
    let mut terminated = signal(SignalKind::terminate())?;
    let end = async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminated.recv() => {}
        }
    };
    axum::serve(listener, app)
        .with_graceful_shutdown(end)
        .await?;
    Ok(())
}

/// The whole service, measured in this registry.
fn app(registry: &Registry) -> Result<Router, tower_prometheus::Error> {
    let orchestrator = Orchestrator::start(OpenClaw::on(registry)?, NODES);
    let page = registry.handler();
    let Orchestrator {
        leases,
        results,
        detector,
        ..
    } = &*orchestrator;
    pulled::register(&page, leases, results, detector)?;
    Ok(api::router(Arc::clone(&orchestrator))
        .route_service("/metrics", page)
        .layer(metrics::http().layer(registry)?))
}
