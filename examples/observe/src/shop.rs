//! The demo shop: fast endpoints, slow ones, and some that fail, panic or never respond.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{Method, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Router, serve};
use futures_util::stream;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use tower_prometheus::collectors::{InfoCollector, ProcessCollector, RuntimeCollector};
use tower_prometheus::{Error, HttpMetrics, Registry, http::HttpMetric};

use crate::Result;
use crate::rng::Rng;

/// Returns the configuration of the layer, from which the dashboard and the rules are also
/// generated. All series are preregistered, because `rate` misses the first request of a series
/// that did not exist as 0.
pub fn http() -> HttpMetrics {
    HttpMetrics::server()
        .measure(HttpMetric::ResponseBodySize)
        .preregister(Method::GET, "/users/{id}", [200])
        .preregister(Method::GET, "/search", [200])
        .preregister(Method::POST, "/orders", [201, 503])
        .preregister(Method::GET, "/export/{pieces}", [200])
        .preregister(Method::GET, "/legacy", [200])
        .preregister(Method::GET, "/quotes", [200])
        .preregister(Method::GET, "/events", [200])
}

/// A running shop. It stops when the program ends.
#[derive(Clone)]
pub struct Shop {
    /// `host:port`.
    pub address: String,
    metrics: Registry,
    state: Arc<ShopState>,
}

/// State shared by the handlers.
struct ShopState {
    /// Number of random numbers drawn so far: the seed of the next one.
    seed: AtomicU64,
    bank_is_down: AtomicBool,
    /// One permit per request for a quote that the shop has started to handle.
    quotes_started: Semaphore,
}

impl Shop {
    /// Starts a shop on a free port.
    pub async fn start() -> Result<Self> {
        let metrics = Registry::builder()
            .constant_label("service", "shop")
            .install()?;
        let state = Arc::new(ShopState {
            seed: AtomicU64::new(1),
            bank_is_down: AtomicBool::new(false),
            quotes_started: Semaphore::new(0),
        });
        let app = app(&metrics, Arc::clone(&state))?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        tokio::spawn(serve(listener, app).into_future());
        Ok(Self {
            address,
            metrics,
            state,
        })
    }

    /// Simulates a failure of the bank: while it is down, half of the orders fail.
    pub fn set_bank_down(&self, down: bool) {
        self.state.bank_is_down.store(down, Ordering::Relaxed);
    }

    /// Waits until the shop handles one more request for a quote. A client that disconnects after
    /// that has a request that the layer counts.
    pub async fn quote_started(&self) -> Result<()> {
        self.state.quotes_started.acquire().await?.forget();
        Ok(())
    }

    /// Returns the number of ended requests and the number of open ones (in progress, or
    /// long-lived), from the shop's metrics.
    pub fn requests(&self) -> (f64, f64) {
        let value = |family| self.metrics.sum(family, &[]).unwrap_or(0.0);
        let open = value("http_requests_in_progress") + value("http_connections_open");
        (value("http_requests_total"), open)
    }
}

fn app(metrics: &Registry, state: Arc<ShopState>) -> Result<Router, Error> {
    metrics.collector("build", InfoCollector::build(env!("CARGO_PKG_VERSION")))?;
    metrics.collector("process", ProcessCollector::new()?)?;
    metrics.collector("runtime", RuntimeCollector::current()?)?;
    Ok(Router::new()
        .route("/users/{id}", get(user))
        .route("/search", get(search))
        .route("/orders", post(order))
        .route("/export/{pieces}", get(export))
        .route("/legacy", get(legacy))
        .route("/quotes", get(quote))
        .route("/events", get(events))
        .fallback(not_found)
        .with_state(state)
        .route_service("/metrics", metrics.handler())
        .layer(http().build(metrics)?)
        .layer(CatchPanicLayer::new()))
}

impl ShopState {
    /// Sleeps from `min` to `max` milliseconds, mostly near `min` and seldom near `max`.
    async fn work(&self, min: f64, max: f64) {
        let seed = self.seed.fetch_add(1, Ordering::Relaxed);
        let share = Rng::new(seed).next_f64();
        let milliseconds = min * (max / min).powf(share * share);
        tokio::time::sleep(Duration::from_secs_f64(milliseconds / 1000.0)).await;
    }
}

async fn user(State(shop): State<Arc<ShopState>>, Path(id): Path<u32>) -> String {
    shop.work(2.0, 20.0).await;
    format!("user {id}\n")
}

async fn search(State(shop): State<Arc<ShopState>>) -> String {
    shop.work(30.0, 900.0).await;
    "a result\n".repeat(200)
}

async fn order(State(shop): State<Arc<ShopState>>) -> (StatusCode, &'static str) {
    shop.work(10.0, 120.0).await;
    let number = shop.seed.fetch_add(1, Ordering::Relaxed);
    if shop.bank_is_down.load(Ordering::Relaxed) && number.is_multiple_of(2) {
        return (StatusCode::SERVICE_UNAVAILABLE, "the bank is down\n");
    }
    (StatusCode::CREATED, "ordered\n")
}

/// Streams pieces of 4 KiB, 10 ms apart. The request ends with the last piece, or when the client
/// disconnects.
async fn export(Path(pieces): Path<u32>) -> Body {
    Body::from_stream(stream::unfold(0, move |piece| async move {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let bytes = Bytes::from_static(&[b'.'; 4096]);
        (piece < pieces).then_some((Ok::<_, Infallible>(bytes), piece + 1))
    }))
}

/// Panics. `resume_unwind` skips the panic hook, whose message would disturb the progress bar.
async fn legacy() -> &'static str {
    std::panic::resume_unwind(Box::new("the shop is on fire"))
}

/// Waits for a partner that never responds: clients time out.
async fn quote(State(shop): State<Arc<ShopState>>) -> &'static str {
    shop.quotes_started.add_permits(1);
    std::future::pending().await
}

/// Streams events until the client disconnects.
async fn events() -> impl IntoResponse {
    let ticks = stream::unfold((), async |()| {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Some((Ok::<_, Infallible>("data: tick\n\n"), ()))
    });
    let event_stream = [(header::CONTENT_TYPE, "text/event-stream")];
    (event_stream, Body::from_stream(ticks))
}

async fn not_found() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "not found\n")
}
