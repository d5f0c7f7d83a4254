//! Aria: an LLM agent engine with a separate port for metrics.
//!
//! ```text
//! $ cargo run --release -p systems --bin aria
//! API at http://127.0.0.1:8080
//! http://127.0.0.1:8081/metrics
//! $ curl -s http://127.0.0.1:8080/chat --json '{"message": "hello there"}'
//! {"session":12,"agent":"coder","text":"You said: hello there"}
//! $ curl -s http://127.0.0.1:8081/metrics | grep aria_llm_requests_total
//! ```
//!
//! | module | |
//! |---|---|
//! | `metrics` | the catalogue, and one method per event. Requests, LLM calls, jobs, skills and queries are [operations](tower_prometheus::Operation), so cancelled and panicked ones are counted too |
//! | `gauges` | collectors: engine state, memory, and the live heap allocations that the allocator counts |
//! | `llm`, `provider`, `breaker` | a model that streams its tokens, behind a circuit breaker |
//! | `router`, `sessions`, `scheduler`, `skills`, `database` | the rest of the engine |
//! | `api` | its HTTP API |
//! | `mixin` | dashboard, rules and scrape configuration |
//!
//! | argument or variable | |
//! |---|---|
//! | `--no-traffic` | do not start the built-in client |
//! | `PORT` | the port of the API; 8080 by default |
//! | `METRICS_PORT` | `/metrics`: a port on all addresses, or `address:port`; `127.0.0.1:8081` by default |
//! | `ARIA_VERSION` | the version in `aria_build_info`; 2.0.0 by default |
//!
//! Ctrl-C or SIGTERM shuts it down.

mod api;
mod breaker;
mod database;
mod engine;
mod gauges;
mod llm;
pub mod metrics;
pub mod mixin;
mod provider;
mod router;
mod scheduler;
mod sessions;
mod skills;
mod traffic;

use std::env;
use std::error::Error;
use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tower_http::catch_panic::CatchPanicLayer;
use tower_prometheus::{HttpMetrics, Registry, scrape::MetricsServer};

use self::engine::Engine;
use self::metrics::Aria;
use self::scheduler::Scheduler;

/// Limit for requests that are in progress at shutdown.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs the engine until Ctrl-C or SIGTERM.
pub async fn run() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let with_traffic = match env::args().nth(1).as_deref() {
        None => true,
        Some("--no-traffic") => false,
        Some(other) => {
            return Err(
                format!("unknown argument {other:?}; the only argument is `--no-traffic`").into(),
            );
        }
    };

    let registry = Registry::builder().install()?;
    let aria = Aria::on(&registry)?;
    aria.started(&env::var("ARIA_VERSION").unwrap_or_else(|_| "2.0.0".to_owned()));
    let engine = Arc::new(Engine::new(aria));
    let scheduler = Arc::new(Scheduler::new(Arc::clone(&engine)));
    let api = api::router(Arc::clone(&engine), Arc::clone(&scheduler))
        // Below the metrics layer, so that the layer sees the 500 of a panic.
        .layer(CatchPanicLayer::new())
        .layer(HttpMetrics::server().build(&registry)?);
    gauges::register(&registry, engine)?;
    let handler = registry.handler();

    let port = env::var("PORT").unwrap_or_else(|_| "8080".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    let server = match MetricsServer::from_env().await? {
        Some(server) => server,
        None => MetricsServer::bind("127.0.0.1:8081").await?,
    };
    println!("API at http://{}", listener.local_addr()?);
    if let Some(address) = server.local_addr() {
        println!("http://127.0.0.1:{}/metrics", address.port());
    }

    let stop = stop_signal()?.shared();
    let background = async {
        let traffic = traffic::drive(api.clone());
        tokio::select! {
            () = stop.clone() => {}
            () = scheduler.run_periodic_jobs() => {}
            () = traffic, if with_traffic => {}
        }
    };
    let served = axum::serve(listener, api.clone()).with_graceful_shutdown(stop.clone());
    let metrics_served = server.serve(handler, stop.clone());
    let all = async { tokio::join!(served.into_future(), metrics_served, background).0 };
    tokio::select! {
        ended = all => Ok(ended?),
        () = stop.clone().then(|()| tokio::time::sleep(SHUTDOWN_TIMEOUT)) => Ok(()),
    }
}

/// Completes on Ctrl-C or SIGTERM.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
