//! The HTTP API: clients submit tasks, nodes report results, and operators revoke leases and tokens
//! and simulate failures.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use super::metrics::{LeaseRevocation, TokenRevocation};
use super::node::Message;
use super::orchestrator::{Assigned, Orchestrator};
use super::task::Needs;

pub fn router(orchestrator: Arc<Orchestrator>) -> Router {
    Router::new()
        .route("/tasks", post(submit))
        .route("/messages", post(report))
        .route("/leases/{lease}", delete(revoke_lease))
        .route("/nodes/{node}/crash", post(crash))
        .route("/nodes/{node}/token", delete(revoke_token))
        .route("/network/{state}", post(network))
        .route("/partition-detector", delete(stop_detector))
        .route("/results/flush", post(flush))
        .route("/audit", get(audit))
        .with_state(orchestrator)
}

type Shared = State<Arc<Orchestrator>>;

async fn submit(State(orchestrator): Shared, Json(needs): Json<Needs>) -> Response {
    match orchestrator.submit(needs) {
        Ok(Assigned { task, lease, node }) => {
            let assigned = json!({ "task": task, "lease": lease, "node": node });
            (StatusCode::ACCEPTED, Json(assigned)).into_response()
        }
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason.as_str()).into_response(),
    }
}

#[derive(Deserialize)]
struct Report {
    node: String,
    lease: u64,
    signature: u64,
}

async fn report(State(orchestrator): Shared, Json(report): Json<Report>) -> StatusCode {
    let Report {
        node,
        lease,
        signature,
    } = report;
    let message = Message {
        node,
        lease,
        signature,
    };
    match orchestrator.complete(&message).await {
        true => StatusCode::NO_CONTENT,
        false => StatusCode::FORBIDDEN,
    }
}

async fn revoke_lease(State(orchestrator): Shared, Path(lease): Path<u64>) -> StatusCode {
    no_content_or_not_found(orchestrator.leases.revoke(lease, LeaseRevocation::Manual))
}

async fn crash(State(orchestrator): Shared, Path(node): Path<String>) -> StatusCode {
    no_content_or_not_found(orchestrator.crash(&node))
}

async fn revoke_token(State(orchestrator): Shared, Path(node): Path<String>) -> StatusCode {
    no_content_or_not_found(orchestrator.tokens.revoke(&node, TokenRevocation::Manual))
}

async fn network(State(orchestrator): Shared, Path(state): Path<String>) -> StatusCode {
    let is_cut = match state.as_str() {
        "cut" => true,
        "heal" => false,
        _ => return StatusCode::NOT_FOUND,
    };
    orchestrator.network.set_cut(is_cut);
    StatusCode::NO_CONTENT
}

async fn stop_detector(State(orchestrator): Shared) -> StatusCode {
    orchestrator.detector.stop();
    StatusCode::NO_CONTENT
}

async fn flush(State(orchestrator): Shared) -> Response {
    let flush = orchestrator.results.flush();
    match orchestrator.metrics.recovery("buffer_flush", flush).await {
        Ok(flushed) => Json(json!({ "flushed": flushed })).into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
    }
}

async fn audit(State(orchestrator): Shared) -> Json<Vec<String>> {
    Json(orchestrator.audit.lines())
}

fn no_content_or_not_found(found: bool) -> StatusCode {
    match found {
        true => StatusCode::NO_CONTENT,
        false => StatusCode::NOT_FOUND,
    }
}
