//! ZeroState: an economy of agents, with a gRPC API and an HTTP one.
//!
//! ```text
//! $ cargo run --release --example zerostate --all-features
//! gRPC on 127.0.0.1:43635
//! http://127.0.0.1:38817/metrics
//! $ curl -s http://127.0.0.1:38817/metrics | grep zerostate_
//! ```
//!
//! Parties open channels, pay, and settle or dispute; peers execute tasks and get a reputation; auctions take bids;
//! prices wait in escrow; contents come over a pool of connections into a cache. `metrics.rs` says what is measured
//! of it, and what becomes of peers, auctions and channels that are too many.
//!
//! It drives itself with a little traffic, unless told `--no-traffic`, and ends by Ctrl-C or SIGTERM. Fixed ports:
//! `PORT` (HTTP) and `GRPC_PORT`.

#![expect(
    unreachable_pub,
    reason = "modules of a program; tests use some of them"
)]

mod api;
mod auctions;
mod balances;
mod cache;
mod channels;
mod content;
mod economy;
mod escrow;
mod http_api;
mod metrics;
#[expect(dead_code, reason = "the files below `mixin/zerostate` are made of it")]
mod mixin;
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

/// What calls under way have to end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let registry = Registry::builder().install()?;
    let economy = Arc::new(Economy::start(*ZeroState::global()).await?);
    let router = http_api::router(&registry, Arc::clone(&economy))?;
    let grpc = Server::builder()
        .layer(grpc_metrics().layer(&registry)?)
        .add_service(EconomyServer(economy));

    let incoming = TcpIncoming::bind(local("GRPC_PORT").parse()?)?;
    let grpc_address = incoming.local_addr()?;
    let listener = TcpListener::bind(local("PORT")).await?;
    println!("gRPC on {grpc_address}");
    println!("http://{}/metrics", listener.local_addr()?);

    let (shutdown, waits) = watch::channel(());
    let grpc = tokio::spawn(grpc.serve_with_incoming_shutdown(incoming, is_told(waits.clone())));
    let http = axum::serve(listener, router).with_graceful_shutdown(is_told(waits));
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
        tracing::warn!("the traffic has ended: {status}");
    }
}

/// Any port, unless a variable says which.
fn local(variable: &str) -> String {
    let port = std::env::var(variable).unwrap_or_else(|_| "0".to_owned());
    format!("127.0.0.1:{port}")
}

/// When the other end is dropped.
async fn is_told(mut shutdown: watch::Receiver<()>) {
    let _ = shutdown.changed().await;
}
