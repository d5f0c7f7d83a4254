//! The orchestrator: an axum API that queues events, a worker pool that stores the results, and the
//! query proxy.

use std::error::Error;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{Method, StatusCode, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use redis::{Pipeline, RedisError};
use tokio::net::TcpListener;
use tower_prometheus_query::QueryProxy;

use super::Options;
use super::broker::{Broker, RESULTS, reason, set_state};
use super::event::{Event, TASK_COMPLETED, TASK_FAILED};
use super::metrics::http;
use super::pool::Work;
use super::service::{Role, Service};
use super::shutdown::Shutdown;

/// Stores the results of tasks.
struct Results;

impl Work for Results {
    async fn process(&self, event: &Event) -> Result<(), String> {
        let event_type = event.event_type.as_str();
        state_after(event_type)
            .map(drop)
            .ok_or_else(|| format!("unknown result type {event_type:?}"))
    }

    fn commands_at_end(&self, event: &Event, _: &Result<(), String>) -> Pipeline {
        let mut commands = redis::pipe();
        if let Some(state) = state_after(&event.event_type) {
            set_state(&mut commands, event.task, state);
        }
        commands
    }
}

fn state_after(event_type: &str) -> Option<&'static str> {
    match event_type {
        TASK_COMPLETED => Some("success"),
        TASK_FAILED => Some("failed"),
        _ => None,
    }
}

/// Serves until shutdown.
pub async fn serve(
    listener: TcpListener,
    redis: &str,
    options: &Options,
    shutdown: Shutdown,
) -> Result<(), Box<dyn Error>> {
    let role = Role {
        name: "orchestrator",
        queue: RESULTS,
        work: Results,
        workers: 2,
    };
    let service = Service::start(role, redis, options, &shutdown)?;
    let app = app(&service)?;
    // The metrics page is written in two parts: the response head, and the body with the collected
    // samples. Without TCP_NODELAY the second part waits until the client acknowledges the first
    // (Nagle's algorithm and delayed ACK).
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, app)
        .with_graceful_shutdown(async move { shutdown.requested().await })
        .await?;
    service.pool.stopped().await;
    Ok(())
}

fn app(service: &Service) -> Result<Router, Box<dyn Error>> {
    // Preregistered series are exported as 0 before the first request.
    let http = http()
        .preregister(Method::POST, "/api/events/{event_type}", [202, 400, 503])
        .preregister(Method::GET, "/api/tasks/{task}", [200, 404, 503])
        .preregister(Method::GET, "/health", [200])
        .build(&service.registry)?;
    let proxy = QueryProxy::from_env()
        .services_of("asdlc_service_info", "service")
        .fallback_services(["workers", "orchestrator"])
        .build()?;
    Ok(Router::new()
        .route("/api/events/{event_type}", post(submit))
        .route("/api/tasks/{task}", get(state))
        .route("/health", get("ok\n"))
        .with_state(Arc::new(service.broker.clone()))
        .nest_service("/api/metrics", proxy)
        .route_service("/metrics", service.metrics_handler.clone())
        .layer(http))
}

/// Queues an event. The request body is its payload.
async fn submit(
    State(broker): State<Arc<Broker>>,
    Path(event_type): Path<String>,
    payload: String,
) -> Response {
    if !is_event_type(&event_type) {
        let error = "an event type must be 1 to 64 characters of a-z and _";
        return json(
            StatusCode::BAD_REQUEST,
            &serde_json::json!({ "error": error }),
        );
    }
    match broker.submit(event_type, payload).await {
        Ok(task) => json(StatusCode::ACCEPTED, &serde_json::json!({ "task": task })),
        Err(error) => unavailable(&error),
    }
}

/// Returns the state of a task.
async fn state(State(broker): State<Arc<Broker>>, Path(task): Path<u64>) -> Response {
    match broker.state(task).await {
        Ok(Some(state)) => json(
            StatusCode::OK,
            &serde_json::json!({ "task": task, "state": state }),
        ),
        Ok(None) => json(
            StatusCode::NOT_FOUND,
            &serde_json::json!({ "error": "unknown task" }),
        ),
        Err(error) => unavailable(&error),
    }
}

fn is_event_type(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    (1..=64).contains(&text.len()) && text.bytes().all(is_letter)
}

fn unavailable(error: &RedisError) -> Response {
    let error = reason(error);
    json(
        StatusCode::SERVICE_UNAVAILABLE,
        &serde_json::json!({ "error": error }),
    )
}

fn json(status: StatusCode, body: &serde_json::Value) -> Response {
    let headers = [(CONTENT_TYPE, "application/json")];
    (status, headers, format!("{body}\n")).into_response()
}
