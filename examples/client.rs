//! Metrics of an HTTP client, with hyper-util. For reqwest: `cargo run --release -p integrations --bin reqwest`.
//!
//! ```text
//! $ cargo run --release --example client
//! http_client_requests_total{endpoint="/down",host="127.0.0.1",method="GET",status="error"} 1
//! http_client_requests_total{endpoint="/slow",host="127.0.0.1",method="GET",status="cancelled"} 1
//! http_client_requests_total{endpoint="/users/{id}",host="127.0.0.1",method="GET",status="200"} 3
//! ```

use std::error::Error;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tower::{Layer, Service, ServiceExt};
use tower_prometheus::Registry;
use tower_prometheus::http::{Endpoint, HttpMetricsService};

type BoxError = Box<dyn Error + Send + Sync>;

/// A client of one service. The measured client has a type that can be written down.
struct Users {
    http: HttpMetricsService<Client<HttpConnector, Empty<Bytes>>>,
    server: String,
}

impl Users {
    async fn name(&mut self, id: u32) -> Result<Bytes, BoxError> {
        let request = request(&format!("{}/users/{id}", self.server), "/users/{id}")?;
        let response = self.http.ready().await?.call(request).await?;
        Ok(response.into_body().collect().await?.to_bytes())
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let server = start_server().await?;
    let metrics = Registry::new();
    // hyper-util's client is a Tower service of `http::Request`, so the layer wraps it without an adapter.
    let http = metrics
        .http_client_layer()
        .layer(Client::builder(TokioExecutor::new()).build_http());
    let mut users = Users { http, server };
    for id in 1..=3 {
        assert_eq!(users.name(id).await?, "ada");
    }

    // Failed and cancelled requests are counted, too: no server listens on port 1, and `/slow` takes longer
    // than the timeout of 50 ms.
    let Users {
        http: mut client,
        server,
    } = users;
    let refused = request("http://127.0.0.1:1/down", "/down")?;
    assert!(client.ready().await?.call(refused).await.is_err());
    let slow = client
        .ready()
        .await?
        .call(request(&format!("{server}/slow"), "/slow")?);
    assert!(
        tokio::time::timeout(Duration::from_millis(50), slow)
            .await
            .is_err()
    );

    let page = metrics.render();
    let samples = page
        .lines()
        .filter(|line| line.starts_with("http_client_requests_total"));
    samples.for_each(|line| println!("{line}"));
    Ok(())
}

/// Returns a request with the [`Endpoint`] extension: the route template, not the path.
fn request(url: &str, endpoint: &'static str) -> Result<Request<Empty<Bytes>>, http::Error> {
    let request = Request::get(url).extension(Endpoint::from_static(endpoint));
    request.body(Empty::new())
}

/// Starts the server that the client requests, and returns its URL.
async fn start_server() -> Result<String, BoxError> {
    let app = Router::new()
        .route("/users/{id}", get(async || "ada"))
        .route(
            "/slow",
            get(async || tokio::time::sleep(Duration::from_secs(60)).await),
        );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async { axum::serve(listener, app).await });
    Ok(format!("http://{address}"))
}
