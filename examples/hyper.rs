//! HTTP metrics with plain hyper. Without a router, the handlers set the endpoint on their responses.
//!
//! ```text
//! $ cargo run --example hyper
//! $ curl 'http://127.0.0.1:3000/users/[1-3]' http://127.0.0.1:3000/nowhere
//! user 1
//! user 2
//! user 3
//! no such page
//! $ curl -s http://127.0.0.1:3000/metrics | grep -v -e '^#' -e bucket
//! http_request_duration_seconds_sum{endpoint="/users/{id}",method="GET"} 0.000062544
//! http_request_duration_seconds_count{endpoint="/users/{id}",method="GET"} 3
//! http_request_duration_seconds_sum{endpoint="unmatched",method="GET"} 8.237e-6
//! http_request_duration_seconds_count{endpoint="unmatched",method="GET"} 1
//! http_requests_in_progress{endpoint="/users/{id}",method="GET"} 0
//! http_requests_in_progress{endpoint="unmatched",method="GET"} 0
//! http_requests_total{endpoint="/users/{id}",method="GET",status="200"} 3
//! http_requests_total{endpoint="unmatched",method="GET",status="404"} 1
//! ```
//!
//! The environment variable `PORT` sets another port.

use std::convert::Infallible;
use std::error::Error;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower::{Service, ServiceBuilder};
use tower_prometheus::{MetricsHandler, Registry, http::Endpoint, scrape::MetricsBody};

/// The body of a handler's response, or the metrics page.
type ResponseBody = Either<Full<Bytes>, MetricsBody>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let metrics = Registry::new();
    let handler = metrics.handler();
    let service = ServiceBuilder::new()
        .layer(metrics.http_layer())
        .service_fn(move |request| route(request, handler.clone()));

    let port = std::env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            let server = auto::Builder::new(TokioExecutor::new());
            if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
                eprintln!("connection failed: {error}");
            }
        });
    }
}

async fn route(
    request: Request<Incoming>,
    mut metrics: MetricsHandler,
) -> Result<Response<ResponseBody>, Infallible> {
    let path = request.uri().path();
    if path == "/metrics" {
        return Ok(metrics.call(request).await?.map(Either::Right));
    }
    let response = match path.strip_prefix("/users/") {
        Some(id) => user(id),
        None => not_found(),
    };
    Ok(response.map(|text| Either::Left(Full::from(text))))
}

/// Sets the [`Endpoint`] extension on the response: the route template, not the path.
fn user(id: &str) -> Response<String> {
    let mut response = Response::new(format!("user {id}\n"));
    let endpoint = Endpoint::from_static("/users/{id}");
    response.extensions_mut().insert(endpoint);
    response
}

/// Sets no endpoint, so the request is recorded as `unmatched`.
fn not_found() -> Response<String> {
    let mut response = Response::new("no such page\n".to_owned());
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}
