//! AgentOS: a gateway between agents, with a cache, rate limits and a choice of providers.
//!
//! ```text
//! $ cargo run --example agentos --features mixin
//! http://127.0.0.1:38817/metrics
//! $ curl -d 'ship the release' -H 'x-workspace-id: acme' http://127.0.0.1:38817/a2a/planner/plan
//! $ curl -s http://127.0.0.1:38817/metrics | grep a2a_
//! ```
//!
//! Its registry is its own, and nothing else is in it: no process, no runtime. `metrics.rs` says what is measured,
//! and what becomes of workspaces that are too many. A request's timer is a guard, so that one whose client hangs up
//! is `cancelled`, and no longer active at that moment. Rate limits are counted where they are decided, in `limits.rs`.
//!
//! It drives itself with a little traffic, unless told `--no-traffic`, and ends by Ctrl-C or SIGTERM. `PORT` says
//! which port is listened on; without it, it is a free one.

#![expect(
    unreachable_pub,
    reason = "a program's modules are public to each other"
)]

mod cache;
mod gateway;
mod limits;
mod metrics;
#[expect(dead_code, reason = "the files below `mixin/agentos` are made of it")]
mod mixin;
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

/// What requests under way have to end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let drives_itself = drives_itself(env::args().skip(1))?;
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

    let (shutdown, is_told) = oneshot::channel::<()>();
    let server = axum::serve(listener, router).with_graceful_shutdown(async {
        let _ = is_told.await;
    });
    let server = tokio::spawn(server.into_future());
    let traffic = drives_itself.then(|| tokio::spawn(traffic::drive(url)));
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

fn drives_itself(arguments: impl Iterator<Item = String>) -> Result<bool, String> {
    let mut drives_itself = true;
    for argument in arguments {
        match argument.as_str() {
            "--no-traffic" => drives_itself = false,
            other => return Err(format!("{other:?}: there is `--no-traffic`")),
        }
    }
    Ok(drives_itself)
}
