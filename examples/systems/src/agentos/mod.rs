//! AgentOS: a gateway between agents, with a cache, rate limits and a choice of LLM providers.
//!
//! ```text
//! $ cargo run --release -p systems --bin agentos
//! http://127.0.0.1:38817/metrics
//! $ curl -d 'ship the release' -H 'x-workspace-id: acme' http://127.0.0.1:38817/a2a/planner/plan
//! $ curl -s http://127.0.0.1:38817/metrics | grep a2a_
//! ```
//!
//! - It has an isolated registry, without process or runtime metrics.
//! - The timer of a request is a guard: if the client disconnects, the request counts as
//!   `cancelled`, and leaves `a2a_active_tasks` at that moment.
//! - Rate limits are counted where the decision is final: `limits.rs`.
//! - `metrics.rs` documents the limit on workspaces.
//!
//! | argument or variable | |
//! |---|---|
//! | `--no-traffic` | do not start the built-in client |
//! | `PORT` | the port; a free one by default |
//!
//! Ctrl-C or SIGTERM shuts it down.

pub mod cache;
mod gateway;
pub mod limits;
pub mod metrics;
pub mod mixin;
mod providers;
mod traffic;

use std::env;
use std::error::Error;
use std::io;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tower_prometheus::Registry;

use self::gateway::Gateway;
use self::metrics::{AgentOs, Build};

/// Limit for requests that are in progress at shutdown.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// Runs the gateway until Ctrl-C or SIGTERM.
pub async fn run() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let with_traffic = with_traffic(env::args().skip(1))?;
    let registry = Registry::new();
    let metrics = AgentOs::on(&registry)?;
    metrics.agentos_info.set(Build {
        version: env!("CARGO_PKG_VERSION"),
    });
    let router = Gateway::new(metrics)
        .router()
        .route_service("/metrics", registry.handler());

    let mut terminated = signal(SignalKind::terminate())?;
    let port = env::var("PORT").unwrap_or_else(|_| "0".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}"))
        .await
        .map_err(|error| format!("PORT {port:?}: {error}"))?;
    let url = format!("http://{}", listener.local_addr()?);
    println!("{url}/metrics");

    let (shutdown, receiver) = oneshot::channel::<()>();
    let server = axum::serve(listener, router).with_graceful_shutdown(async {
        let _ = receiver.await;
    });
    let server = tokio::spawn(server.into_future());
    let traffic = with_traffic.then(|| tokio::spawn(traffic::drive(url)));
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminated.recv() => {}
    }
    if let Some(traffic) = traffic {
        traffic.abort();
    }
    drop(shutdown);
    if let Ok(served) = tokio::time::timeout(SHUTDOWN_TIMEOUT, server).await {
        served??;
    }
    Ok(())
}

fn with_traffic(arguments: impl Iterator<Item = String>) -> Result<bool, String> {
    let mut with_traffic = true;
    for argument in arguments {
        match argument.as_str() {
            "--no-traffic" => with_traffic = false,
            other => {
                return Err(format!(
                    "unknown argument {other:?}; the only argument is `--no-traffic`"
                ));
            }
        }
    }
    Ok(with_traffic)
}
