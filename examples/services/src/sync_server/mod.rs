//! A server that keeps the records of a user in sync between devices, with optional metrics on a separate port.
//!
//! ```text
//! $ SYNC_TOKEN=secret METRICS_PORT=127.0.0.1:8081 cargo run --release -p services --bin sync_server
//! API at http://127.0.0.1:3000
//! metrics at http://127.0.0.1:8081/metrics
//! $ curl -s -H 'authorization: Bearer secret' -d 'https://prometheus.io' http://127.0.0.1:3000/records/bookmarks
//! $ curl -s http://127.0.0.1:8081/metrics
//! ```
//!
//! The router and its metrics layer are built first. The recorder is installed later, and only if `METRICS_PORT` is
//! set. Until then, the layer passes requests through and the macros of `metrics` record nothing.
//!
//! | module | |
//! |---|---|
//! | `metrics` | the HTTP layer and the recorder |
//! | `api` | the HTTP API, and the macros |
//! | `store` | the records, in memory |
//!
//! | variable | |
//! |---|---|
//! | `SYNC_TOKEN` | the token of the API; required |
//! | `METRICS_PORT` | the metrics page: a port on all addresses, or `address:port`; no metrics by default |
//! | `PORT` | the port of the API; 3000 by default |

mod api;
mod metrics;
mod store;

use std::error::Error;

use axum::Router;
use axum::middleware::from_fn_with_state;
use tower_prometheus::scrape::MetricsServer;

pub use self::metrics::install_recorder;
use crate::token::{self, Token};

/// Runs the server until the process is stopped.
pub async fn run() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let app = app(Token::from_env("SYNC_TOKEN")?)?;
    let listener = crate::listen(3000).await?;
    println!("API at http://{}", listener.local_addr()?);

    let Some(server) = MetricsServer::from_env().await? else {
        println!("no metrics: METRICS_PORT is not set");
        axum::serve(listener, app).await?;
        return Ok(());
    };
    let registry = install_recorder()?;
    if let Some(address) = server.local_addr() {
        println!("metrics at http://{address}/metrics");
    }
    // The metrics page is served as long as the API.
    let api = async {
        if let Err(error) = axum::serve(listener, app).await {
            tracing::error!("the API ended: {error}");
        }
    };
    server.serve(registry.handler(), api).await;
    Ok(())
}

/// Returns the API with its metrics layer. A recorder can be installed before or after.
pub fn app(token: Token) -> Result<Router, tower_prometheus::Error> {
    Ok(api::routes()
        .route_layer(from_fn_with_state(token, token::require))
        .layer(metrics::http_layer()?))
}
