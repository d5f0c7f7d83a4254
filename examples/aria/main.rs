//! Aria, an engine of agents that think with language models: a miniature of a real backend, and all it measures.
//!
//! ```text
//! $ cargo run --example aria --features full
//! API at http://127.0.0.1:8080
//! http://127.0.0.1:8081/metrics
//! $ curl -s http://127.0.0.1:8080/chat --json '{"message": "hello there"}'
//! {"session":12,"agent":"coder","text":"You said: hello there"}
//! $ curl -s http://127.0.0.1:8081/metrics | grep aria_llm_requests_total
//! ```
//!
//! It drives itself with a little traffic, unless `--no-traffic`. What to look at:
//!
//! - `metrics`: the catalogue, and one method for each thing that happens. Requests, calls of models, jobs, skills and
//!   queries are [operations](tower_prometheus::Operation): who hangs up and what panics is counted too.
//! - `gauges`: what is asked for at a scrape, among it the heap's allocations, counted by an allocator.
//! - `llm`, `provider`, `breaker`: a model that streams its tokens, a breaker that opens and half-opens.
//! - `router`, `sessions`, `scheduler`, `skills`, `database`: the rest of the engine; `api` serves it.
//! - `mixin`: dashboard, rules and scrape configuration, made from the same families.
//!
//! Other ports: `PORT`, `METRICS_PORT`; another version: `ARIA_VERSION`. Ctrl-C ends it.

#![expect(unreachable_pub, reason = "modules of a program")]

mod api;
mod breaker;
mod database;
mod engine;
mod gauges;
mod llm;
#[expect(
    dead_code,
    reason = "its families are described for `mixin/aria`, by a test"
)]
mod metrics;
#[expect(
    dead_code,
    reason = "the files in `mixin/aria` are made from it by a test"
)]
mod mixin;
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
use tower_prometheus::{HttpMetrics, MetricsServer, Registry};

use crate::engine::Engine;
use crate::metrics::Aria;
use crate::scheduler::Scheduler;

/// How long what is under way may take when it is told to end.
const GRACE: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let with_traffic = match env::args().nth(1).as_deref() {
        None => true,
        Some("--no-traffic") => false,
        Some(other) => return Err(format!("{other}? There is only --no-traffic").into()),
    };

    let registry = Registry::builder().install()?;
    let aria = Aria::on(&registry)?;
    aria.started(&env::var("ARIA_VERSION").unwrap_or_else(|_| "2.0.0".to_owned()));
    let engine = Arc::new(Engine::new(aria));
    let scheduler = Arc::new(Scheduler::new(Arc::clone(&engine)));
    let api = api::router(Arc::clone(&engine), Arc::clone(&scheduler))
        // Inside of what measures, so that it sees a 500.
        .layer(CatchPanicLayer::new())
        .layer(HttpMetrics::server().layer(&registry)?);
    let handler = gauges::add(registry.handler(), engine);

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

    let stop = told_to_stop()?.shared();
    let by_itself = async {
        let traffic = traffic::drive(api.clone());
        tokio::select! {
            () = stop.clone() => {}
            () = scheduler.keep_running() => {}
            () = traffic, if with_traffic => {}
        }
    };
    let served = axum::serve(listener, api.clone()).with_graceful_shutdown(stop.clone());
    let pages = server.serve(handler, stop.clone());
    let all = async { tokio::join!(served.into_future(), pages, by_itself).0 };
    tokio::select! {
        ended = all => Ok(ended?),
        () = stop.clone().then(|()| tokio::time::sleep(GRACE)) => Ok(()),
    }
}

/// Ctrl-C, or what a supervisor sends.
fn told_to_stop() -> std::io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
