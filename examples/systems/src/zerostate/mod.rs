//! ZeroState: an agent economy with a gRPC API (tonic) and an HTTP API (axum).
//!
//! ```text
//! $ cargo run --release -p systems --bin zerostate
//! gRPC on 127.0.0.1:43635
//! http://127.0.0.1:38817/metrics
//! $ curl -s http://127.0.0.1:38817/metrics | grep zerostate_
//! ```
//!
//! Parties open payment channels, pay, and settle or dispute them. Peers execute tasks and get a
//! reputation. Auctions take bids, escrow holds prices until delivery, and a cache fetches content
//! over a connection pool. `metrics.rs` documents the limits of the labels with unbounded
//! cardinality: peers, auctions and channels.
//!
//! | argument or variable | |
//! |---|---|
//! | `--no-traffic` | do not start the built-in client |
//! | `PORT`, `GRPC_PORT` | the ports of the HTTP and the gRPC API; free ones by default |
//!
//! Ctrl-C or SIGTERM shuts it down.

pub mod api;
mod auctions;
mod balances;
mod cache;
mod channels;
mod content;
mod economy;
mod escrow;
mod http_api;
pub mod metrics;
pub mod mixin;
mod origin;
mod peers;
mod pool;
mod server;
mod traffic;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tonic::transport::{Endpoint, Server, server::TcpIncoming};
use tower_prometheus::Registry;

use self::api::Client;
use self::economy::Economy;
use self::metrics::ZeroState;
use self::server::{EconomyServer, grpc_metrics};

/// Limit for calls that are in progress at shutdown.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// Runs both servers until Ctrl-C or SIGTERM.
pub async fn run() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let registry = Registry::builder().install()?;
    let economy = Arc::new(Economy::start(ZeroState::global()).await?);
    let router = http_api::router(&registry, Arc::clone(&economy))?;
    let grpc = Server::builder()
        .layer(grpc_metrics().build(&registry)?)
        .add_service(EconomyServer(economy));

    let incoming = TcpIncoming::bind(local("GRPC_PORT").parse()?)?;
    let grpc_address = incoming.local_addr()?;
    let listener = TcpListener::bind(local("PORT")).await?;
    println!("gRPC on {grpc_address}");
    println!("http://{}/metrics", listener.local_addr()?);

    let (shutdown, receiver) = watch::channel(());
    let grpc = tokio::spawn(grpc.serve_with_incoming_shutdown(incoming, dropped(receiver.clone())));
    let http = axum::serve(listener, router).with_graceful_shutdown(dropped(receiver));
    let http = tokio::spawn(http.into_future());
    let endpoint = Endpoint::from_shared(format!("http://{grpc_address}"))?;
    let traffic = std::env::args().all(|argument| argument != "--no-traffic");
    let traffic = traffic.then(|| tokio::spawn(drive(Client::new(endpoint.connect_lazy()))));

    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminated.recv() => {}
    }
    if let Some(traffic) = traffic {
        traffic.abort();
    }
    drop(shutdown);
    let servers = async { tokio::join!(grpc, http) };
    if let Ok((grpc, http)) = tokio::time::timeout(SHUTDOWN_TIMEOUT, servers).await {
        grpc??;
        http??;
    }
    Ok(())
}

async fn drive(client: Client) {
    if let Err(status) = traffic::run(client).await {
        tracing::warn!("the built-in client stopped: {status}");
    }
}

/// Returns a local address with the port of the environment variable; 0, for a free port, by default.
fn local(variable: &str) -> String {
    let port = std::env::var(variable).unwrap_or_else(|_| "0".to_owned());
    format!("127.0.0.1:{port}")
}

/// Completes when the sender is dropped.
async fn dropped(mut shutdown: watch::Receiver<()>) {
    let _ = shutdown.changed().await;
}
