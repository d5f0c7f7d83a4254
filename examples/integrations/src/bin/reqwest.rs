//! Metrics of a reqwest client, whose responses are those of reqwest.
//!
//! ```text
//! $ cargo run --release -p integrations --bin reqwest
//! http_client_requests_total{endpoint="/down",host="127.0.0.1",method="GET",status="error"} 1
//! http_client_requests_total{endpoint="/slow",host="127.0.0.1",method="GET",status="cancelled"} 1
//! http_client_requests_total{endpoint="/users/{id}",host="127.0.0.1",method="GET",status="200"} 3
//! ```

#[path = "../../../../docs/guide/reqwest.rs"]
mod measured_client;

use std::error::Error;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tower_prometheus::Registry;

use crate::measured_client::MeasuredClient;

type BoxError = Box<dyn Error + Send + Sync>;

/// The client of one service.
struct Users {
    http: MeasuredClient,
    server: String,
}

impl Users {
    async fn name(&self, id: u32) -> reqwest::Result<String> {
        let request = self.http.reqwest.get(format!("{}/users/{id}", self.server));
        let response = self.http.send("/users/{id}", request).await?;
        response.error_for_status()?.json().await
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let metrics = Registry::new();
    let http = MeasuredClient {
        reqwest: reqwest::Client::new(),
        metrics: metrics.http_client_layer(),
    };
    let server = serve().await?;
    let users = Users { http, server };
    for id in 1..=3 {
        assert_eq!(users.name(id).await?, "ada");
    }

    // Failed and cancelled requests are counted too: nothing listens on port 1, and `/slow` takes
    // longer than 50 ms.
    let Users { http, server } = users;
    let refused = http.reqwest.get("http://127.0.0.1:1/down");
    assert!(http.send("/down", refused).await.is_err());
    let slow = http.send("/slow", http.reqwest.get(format!("{server}/slow")));
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

async fn serve() -> Result<String, BoxError> {
    let app = Router::new()
        .route("/users/{id}", get(async || r#""ada""#))
        .route(
            "/slow",
            get(async || tokio::time::sleep(Duration::from_secs(60)).await),
        );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async { axum::serve(listener, app).await });
    Ok(format!("http://{address}"))
}
