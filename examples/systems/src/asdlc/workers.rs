//! The workers: a pool of agents, and plain hyper for who wants to know how they are.

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

/// Agents that read what they are given, and refuse what is not finished.
struct Agents;

impl Work for Agents {
    async fn process(&self, event: &Event) -> Result<(), String> {
        for (number, line) in (1..).zip(event.payload.lines()) {
            // Reading takes its time.
            tokio::time::sleep(Duration::from_millis(2)).await;
            if line.contains("FIXME") {
                return Err(format!("line {number} is to be fixed: {line}"));
            }
        }
        Ok(())
    }

    /// The orchestrator hears of it.
    fn conclude(&self, event: &Event, result: &Result<(), String>) -> Pipeline {
        let (event_type, payload) = match result {
            Ok(()) => (TASK_COMPLETED, String::new()),
            Err(why) => (TASK_FAILED, why.clone()),
        };
        let news = Event {
            task: event.task,
            event_type: event_type.to_owned(),
            payload,
        };
        let mut then = redis::pipe();
        then.lpush(RESULTS, news.to_json()).ignore();
        then
    }
}

/// The response of a handler, or the metrics page.
type Answer = Response<Either<Full<Bytes>, MetricsBody>>;

/// Serves until the shutdown.
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
    // Plain hyper has no router to tell the endpoint.
    let http = http()
        .route_patterns(["/health", "/pool"])
        .preregister(Method::GET, "/health", [200])
        .preregister(Method::GET, "/pool", [200])
        .build(&service.registry)?;
    let (pool, page) = (Arc::clone(&service.pool.state), service.page.clone());
    let app = ServiceBuilder::new()
        .layer(http)
        .service_fn(move |request| route(request, Arc::clone(&pool), page.clone()));

    let server = auto::Builder::new(TokioExecutor::new());
    let connections = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.begun() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, _) = accepted?;
        // As the orchestrator: the second part of a page does not wait for word of the first.
        stream.set_nodelay(true)?;
        let app = TowerToHyperService::new(app.clone());
        let connection = server.serve_connection(TokioIo::new(stream), app);
        let connection = connections.watch(connection.into_owned());
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!("a connection failed: {error}");
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
    mut page: MetricsHandler,
) -> Result<Answer, Infallible> {
    let text = match request.uri().path() {
        "/metrics" => return Ok(page.call(request).await?.map(Either::Right)),
        "/health" => "ok\n".to_owned(),
        "/pool" => {
            let (workers, tasks) = (pool.active_workers(), pool.active_tasks());
            let state = serde_json::json!({ "workers": workers, "tasks": tasks });
            format!("{state}\n")
        }
        _ => return Ok(answer(StatusCode::NOT_FOUND, "no such page\n".to_owned())),
    };
    Ok(match *request.method() {
        Method::GET => answer(StatusCode::OK, text),
        _ => answer(StatusCode::METHOD_NOT_ALLOWED, String::new()),
    })
}

fn answer(status: StatusCode, text: String) -> Answer {
    let mut answer = Response::new(Either::Left(Full::from(text)));
    *answer.status_mut() = status;
    answer
}
