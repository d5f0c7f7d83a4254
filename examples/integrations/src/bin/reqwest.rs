//! Client metrics for reqwest, through an adapter of five lines.
//!
//! ```text
//! $ cargo run --release -p integrations --bin reqwest
//! http_client_requests_total{endpoint="/down",host="127.0.0.1",method="GET",status="error"} 1
//! http_client_requests_total{endpoint="/slow",host="127.0.0.1",method="GET",status="cancelled"} 1
//! http_client_requests_total{endpoint="/users/{id}",host="127.0.0.1",method="GET",status="200"} 3
//! ```

use std::error::Error;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use http::{Request, Response};
use http_body_util::BodyExt;
use tower::{Layer, Service, service_fn};
use tower_prometheus::{Registry, http::Endpoint};

type BoxError = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let server = serve().await?;
    let metrics = Registry::new();

    // The layer wraps services of `http::Request`. reqwest has a different request type, so the
    // adapter converts it.
    let reqwest = reqwest::Client::new();
    let service = service_fn(move |request: Request<reqwest::Body>| {
        let sent = request.try_into().map(|request| reqwest.execute(request));
        async move { Ok::<Response<reqwest::Body>, reqwest::Error>(sent?.await?.into()) }
    });
    let mut client = metrics.http_client_layer().layer(service);
    for id in 1..=3 {
        let request = request(&format!("{server}/users/{id}"), "/users/{id}")?;
        let response = client.call(request).await?;
        response.into_body().collect().await?;
    }

    // Failed and cancelled requests are counted too: nothing listens on port 1, and `/slow` takes
    // longer than 50 ms.
    let unreachable = request("http://127.0.0.1:1/down", "/down")?;
    assert!(client.call(unreachable).await.is_err());
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

/// Returns a request with its endpoint. Use a route template, not the path, to limit cardinality.
fn request(url: &str, endpoint: &'static str) -> Result<Request<reqwest::Body>, http::Error> {
    let request = Request::get(url).extension(Endpoint::from_static(endpoint));
    request.body(reqwest::Body::default())
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
