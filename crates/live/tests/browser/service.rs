//! [`Service`]: a service with a live page in the test's process.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::routing::{get, post};
use test_support::browser::Browser;
use test_support::server::Server;
use tower_prometheus::Registry;
use tower_prometheus_live::{LivePage, LivePageBuilder};

pub struct Service {
    pub metrics: Registry,
    pub server: Server,
}

impl Service {
    pub async fn start() -> Self {
        Self::with(|page| page).await
    }

    /// Starts a service with changed settings of its page.
    pub async fn with(settings: impl FnOnce(LivePageBuilder) -> LivePageBuilder) -> Self {
        let metrics = Registry::builder()
            .constant_label("service", "shop")
            .build()
            .unwrap();
        let page = settings(LivePage::builder(&metrics)).build().unwrap();
        let server = Server::start(app(&metrics, page)).await;
        Self { metrics, server }
    }

    /// The address of the page.
    pub fn page(&self) -> String {
        self.server.url("/live")
    }

    /// Opens the page and waits for a sample that was taken after that.
    pub fn open(&self, browser: &Browser, fragment: &str) {
        browser.open("about:blank");
        browser.open(&format!("{}{fragment}", self.page()));
        browser.wait_until("document.getElementById('status')?.dataset.state === 'live'");
    }

    /// Sends requests to all endpoints.
    pub async fn visit(&self) {
        for path in ["/users/1", "/users/2", "/slow", "/fail", "/nowhere"] {
            self.server.get(path).await;
        }
        let mut client = self
            .server
            .connect(test_support::server::Protocol::Http1)
            .await;
        client.fetch("POST", "/orders").await;
    }
}

pub fn app(metrics: &Registry, page: LivePage) -> Router {
    let slow = async || {
        tokio::time::sleep(Duration::from_millis(30)).await;
        "slow"
    };
    // A body that never ends, of a request that is in progress until the client leaves.
    let endless = async || {
        let pieces = futures_util::stream::pending::<Result<Bytes, Infallible>>();
        Body::from_stream(pieces)
    };
    Router::new()
        .route("/users/{id}", get(async || "ada"))
        .route("/orders", post(async || StatusCode::CREATED))
        .route("/slow", get(slow))
        .route("/fail", get(async || StatusCode::SERVICE_UNAVAILABLE))
        .route("/endless", get(endless))
        .nest_service("/live", page)
        .layer(metrics.http_layer())
}
