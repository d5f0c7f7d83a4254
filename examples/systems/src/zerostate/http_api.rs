//! The HTTP API and the metrics page.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use http::StatusCode;
use tower_prometheus::collectors::{ProcessCollector, RuntimeCollector};
use tower_prometheus::{Error, HttpMetrics, Registry, model::families_table};

use super::balances::ChannelBalances;
use super::economy::Economy;
use super::metrics::families;

/// Returns the configuration of the layer for this API.
pub fn http_metrics() -> HttpMetrics {
    HttpMetrics::server()
}

pub fn router(metrics: &Registry, economy: Arc<Economy>) -> Result<Router, Error> {
    metrics.collector("balances", ChannelBalances(Arc::clone(&economy.ledger)))?;
    metrics.collector("process", ProcessCollector::new()?)?;
    metrics.collector("runtime", RuntimeCollector::current()?)?;
    Ok(Router::new()
        .route("/", get(async || families_table(&families())))
        .route("/channels/{channel_id}", get(channel))
        .route("/peers/{peer_id}", get(peer))
        .with_state(economy)
        .layer(http_metrics().build(metrics)?)
        .route_service("/metrics", metrics.handler()))
}

async fn channel(
    State(economy): State<Arc<Economy>>,
    Path(channel_id): Path<String>,
) -> Result<String, (StatusCode, String)> {
    match economy.ledger.get(&channel_id) {
        Ok(channel) => Ok(format!(
            "{}: client {}, provider {}\n",
            channel.state, channel.client_balance, channel.provider_balance
        )),
        Err(status) => Err((StatusCode::NOT_FOUND, format!("{}\n", status.message()))),
    }
}

async fn peer(
    State(economy): State<Arc<Economy>>,
    Path(peer_id): Path<String>,
) -> Result<String, StatusCode> {
    let statistics = economy.peers.statistics(&peer_id);
    let statistics = statistics.ok_or(StatusCode::NOT_FOUND)?;
    Ok(format!("reputation {:.3}\n", statistics.reputation))
}
