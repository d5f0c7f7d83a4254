//! Measured clients: hyper-util's directly, reqwest's through an adapter of five lines.
//!
//! ```text
//! $ cargo run --release --example client
//! http_client_requests_total{endpoint="/down",host="127.0.0.1",method="GET",status="error"} 1
//! http_client_requests_total{endpoint="/slow",host="127.0.0.1",method="GET",status="cancelled"} 1
//! http_client_requests_total{endpoint="/users/{id}",host="127.0.0.1",method="GET",status="200"} 4
//! ```

use std::error::Error;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_prometheus::{Endpoint, Registry};

type BoxError = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let server = serve().await?;
    let metrics = Registry::new();
    let layer = metrics.http_client_layer();

    // hyper-util's client is a service of `http` requests already.
    let mut client = layer.layer(Client::builder(TokioExecutor::new()).build_http());
    for id in 1..=3 {
        let request = request::<Empty<Bytes>>(&format!("{server}/users/{id}"), "/users/{id}")?;
        let response = client.ready().await?.call(request).await?;
        response.into_body().collect().await?;
    }

    // reqwest's takes requests of its own, so a function stands between:
    let reqwest = reqwest::Client::new();
    let mut client = layer.layer(service_fn(move |request: Request<reqwest::Body>| {
        let sent = request.try_into().map(|request| reqwest.execute(request));
        async move { Ok::<Response<reqwest::Body>, reqwest::Error>(sent?.await?.into()) }
    }));
    let response = client
        .call(request(&format!("{server}/users/4"), "/users/{id}")?)
        .await?;
    response.into_body().collect().await?;

    // What goes wrong is counted too: nobody listens there, and nobody waits that long.
    let nobody = request("http://127.0.0.1:1/down", "/down")?;
    assert!(client.call(nobody).await.is_err());
    let slow = client.call(request(&format!("{server}/slow"), "/slow")?);
    assert!(
        tokio::time::timeout(Duration::from_millis(50), slow)
            .await
            .is_err()
    );

    let page = metrics.render();
    let requests = page
        .lines()
        .filter(|line| line.starts_with("http_client_requests_total"));
    requests.for_each(|line| println!("{line}"));
    Ok(())
}

/// A request that says which endpoint it is for: a template, never the path.
fn request<B: Default>(url: &str, endpoint: &'static str) -> Result<Request<B>, http::Error> {
    let request = Request::get(url).extension(Endpoint::from_static(endpoint));
    request.body(B::default())
}

async fn serve() -> Result<String, BoxError> {
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
