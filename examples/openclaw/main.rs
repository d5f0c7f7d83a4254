//! OpenClaw: tasks, the nodes that do them under leases, and all that can go wrong between them.
//!
//! ```text
//! $ cargo run --example openclaw --features mixin
//! http://127.0.0.1:41273/metrics
//! $ curl --json '{"capability":"compile","complexity":"low","work_ms":50}' http://127.0.0.1:41273/tasks
//! {"lease":51,"node":"atlas","task":49}
//! ```
//!
//! What happens is counted where it happens, by the methods of `metrics.rs`; what the services *have* (leases,
//! waiting results, a partition) they are asked for when Prometheus scrapes, in `pulled.rs`. The page is on the
//! app's own port, `PORT` or a free one. It sends itself a little traffic, unless told `--no-traffic`; `--families`
//! prints the table of its families. Ctrl-C or SIGTERM ends it: requests under way are answered first.

#![expect(unreachable_pub, reason = "modules of a program")]

pub(crate) mod api;
pub(crate) mod audit;
pub(crate) mod leases;
pub(crate) mod metrics;
#[expect(
    dead_code,
    reason = "the files in `mixin/openclaw` are made from it by a test"
)]
mod mixin;
pub(crate) mod node;
pub(crate) mod orchestrator;
pub(crate) mod partition;
pub(crate) mod pulled;
pub(crate) mod results;
pub(crate) mod task;
pub(crate) mod tokens;
pub(crate) mod traffic;

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
use tower_prometheus::{Registry, families_table};

use self::metrics::OpenClaw;
use self::node::Node;
use self::orchestrator::Orchestrator;

/// How long requests under way may take when it ends.
const PATIENCE: Duration = Duration::from_secs(5);

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
    // From now on a signal ends it well.
    let ended = ended()?;

    let port = env::var("PORT").unwrap_or_else(|_| "0".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    let url = format!("http://{}", listener.local_addr()?);
    println!("{url}/metrics");
    if !is_told("--no-traffic") {
        tokio::spawn(traffic::drive(url));
    }
    let end = |mut ended: watch::Receiver<bool>| async move {
        // An error means that who would have said it is gone.
        let _ = ended.wait_for(|ended| *ended).await;
    };
    let late = end(ended.clone());
    let serve = axum::serve(listener, app).with_graceful_shutdown(end(ended));
    tokio::select! {
        served = serve => Ok(served?),
        () = async { late.await; sleep(PATIENCE).await } => Err("it did not end in time".into()),
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
