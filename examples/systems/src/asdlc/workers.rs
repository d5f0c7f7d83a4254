//! The workers: a pool of agents that process events, and a plain hyper server for health, pool
//! state and metrics.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use redis::Pipeline;
use tokio::net::TcpListener;
use tower::{Service as _, ServiceBuilder};
use tower_prometheus::{MetricsHandler, scrape::MetricsBody};

use super::Options;
use super::broker::{EVENTS, RESULTS};
use super::event::{Event, TASK_COMPLETED, TASK_FAILED};
use super::metrics::http;
use super::pool::{PoolState, Work};
use super::service::{Role, Service};
use super::shutdown::Shutdown;

/// Agents that review the submitted payloads, and reject those with a `FIXME`.
struct Agents;

impl Work for Agents {
    async fn process(&self, event: &Event) -> Result<(), String> {
        for (number, line) in (1..).zip(event.payload.lines()) {
            // Simulates work.
            tokio::time::sleep(Duration::from_millis(2)).await;
            if line.contains("FIXME") {
                return Err(format!("line {number} contains FIXME: {line}"));
            }
        }
        Ok(())
    }

    /// Queues the result for the orchestrator.
    fn commands_at_end(&self, event: &Event, result: &Result<(), String>) -> Pipeline {
        let (event_type, payload) = match result {
            Ok(()) => (TASK_COMPLETED, String::new()),
            Err(reason) => (TASK_FAILED, reason.clone()),
        };
        let report = Event {
            task: event.task,
            event_type: event_type.to_owned(),
            payload,
        };
        let mut commands = redis::pipe();
        commands.lpush(RESULTS, report.to_json()).ignore();
        commands
    }
}

/// The response of a handler, or the metrics page.
type AppResponse = Response<Either<Full<Bytes>, MetricsBody>>;

/// Serves until shutdown.
pub async fn serve(
    listener: TcpListener,
    redis: &str,
    options: &Options,
    shutdown: Shutdown,
) -> Result<(), Box<dyn Error>> {
    let role = Role {
        name: "workers",
        queue: EVENTS,
        work: Agents,
        workers: 4,
    };
    let service = Service::start(role, redis, options, &shutdown)?;
    // Plain hyper has no router, so the layer needs the route patterns.
    let http = http()
        .route_patterns(["/health", "/pool"])
        .preregister(Method::GET, "/health", [200])
        .preregister(Method::GET, "/pool", [200])
        .build(&service.registry)?;
    let pool = Arc::clone(&service.pool.state);
    let handler = service.metrics_handler.clone();
    let app = ServiceBuilder::new()
        .layer(http)
        .service_fn(move |request| route(request, Arc::clone(&pool), handler.clone()));

    let server = auto::Builder::new(TokioExecutor::new());
    let connections = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.requested() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, _) = accepted?;
        // As in the orchestrator: otherwise the body of the metrics page waits for the
        // acknowledgement of its head.
        stream.set_nodelay(true)?;
        let app = TowerToHyperService::new(app.clone());
        let connection = server.serve_connection(TokioIo::new(stream), app);
        let connection = connections.watch(connection.into_owned());
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!("connection failed: {error}");
            }
        });
    }
    connections.shutdown().await;
    service.pool.stopped().await;
    Ok(())
}

async fn route(
    request: Request<Incoming>,
    pool: Arc<PoolState>,
    mut handler: MetricsHandler,
) -> Result<AppResponse, Infallible> {
    let text = match request.uri().path() {
        "/metrics" => return Ok(handler.call(request).await?.map(Either::Right)),
        "/health" => "ok\n".to_owned(),
        "/pool" => {
            let (workers, tasks) = (pool.active_workers(), pool.active_tasks());
            let state = serde_json::json!({ "workers": workers, "tasks": tasks });
            format!("{state}\n")
        }
        _ => return Ok(respond(StatusCode::NOT_FOUND, "not found\n".to_owned())),
    };
    Ok(match *request.method() {
        Method::GET => respond(StatusCode::OK, text),
        _ => respond(StatusCode::METHOD_NOT_ALLOWED, String::new()),
    })
}

fn respond(status: StatusCode, text: String) -> AppResponse {
    let mut response = Response::new(Either::Left(Full::from(text)));
    *response.status_mut() = status;
    response
}
