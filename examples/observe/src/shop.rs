//! The shop that is watched: quick pages, slow ones, some that fail, panic or never come.

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
use crate::dice::Dice;

/// What the layer is made of, and what is deployed beside it. Every series is there from the start, so that
/// the first request of a kind is an increase and not the birth of a series.
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

/// A shop that is open, until the program ends.
#[derive(Clone)]
pub struct Shop {
    /// `host:port`.
    pub address: String,
    metrics: Registry,
    state: Arc<Inside>,
}

/// What handlers share.
struct Inside {
    dice: AtomicU64,
    bank_is_down: AtomicBool,
    /// A permit for each quote that the shop has begun to wait for.
    quotes_begun: Semaphore,
}

impl Shop {
    /// Opens one on a free port.
    pub async fn open() -> Result<Self> {
        let metrics = Registry::builder()
            .constant_label("service", "shop")
            .install()?;
        let state = Arc::new(Inside {
            dice: AtomicU64::new(1),
            bank_is_down: AtomicBool::new(false),
            quotes_begun: Semaphore::new(0),
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

    /// The fault that comes and goes: while the bank is down, half of the orders fail.
    pub fn bank_is_down(&self, down: bool) {
        self.state.bank_is_down.store(down, Ordering::Relaxed);
    }

    /// Waits until the shop works on one more quote: who leaves then leaves a request that was seen.
    pub async fn quote_begun(&self) -> Result<()> {
        self.state.quotes_begun.acquire().await?.forget();
        Ok(())
    }

    /// How many requests ended, and how many have not, by the shop's own book.
    pub fn requests(&self) -> (f64, f64) {
        let value = |family| self.metrics.sum(family, &[]).unwrap_or(0.0);
        let open = value("http_requests_in_progress") + value("http_connections_open");
        (value("http_requests_total"), open)
    }
}

fn app(metrics: &Registry, state: Arc<Inside>) -> Result<Router, Error> {
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

impl Inside {
    /// A number of milliseconds, mostly near the least and seldom near the most.
    async fn work(&self, least: f64, most: f64) {
        let seed = self.dice.fetch_add(1, Ordering::Relaxed);
        let share = Dice::new(seed).share();
        let milliseconds = least * (most / least).powf(share * share);
        tokio::time::sleep(Duration::from_secs_f64(milliseconds / 1000.0)).await;
    }
}

async fn user(State(shop): State<Arc<Inside>>, Path(id): Path<u32>) -> String {
    shop.work(2.0, 20.0).await;
    format!("user {id}\n")
}

async fn search(State(shop): State<Arc<Inside>>) -> String {
    shop.work(30.0, 900.0).await;
    "a result\n".repeat(200)
}

async fn order(State(shop): State<Arc<Inside>>) -> (StatusCode, &'static str) {
    shop.work(10.0, 120.0).await;
    let number = shop.dice.fetch_add(1, Ordering::Relaxed);
    if shop.bank_is_down.load(Ordering::Relaxed) && number.is_multiple_of(2) {
        return (StatusCode::SERVICE_UNAVAILABLE, "the bank is down\n");
    }
    (StatusCode::CREATED, "ordered\n")
}

/// Pieces of 4 KiB, 10 ms apart: the request ends with the last, or when the client leaves.
async fn export(Path(pieces): Path<u32>) -> Body {
    Body::from_stream(stream::unfold(0, move |piece| async move {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let bytes = Bytes::from_static(&[b'.'; 4096]);
        (piece < pieces).then_some((Ok::<_, Infallible>(bytes), piece + 1))
    }))
}

/// Panics, without the message that would be in the way of the progress bar.
async fn legacy() -> &'static str {
    std::panic::resume_unwind(Box::new("the shop is on fire"))
}

/// A partner that never answers: clients give up.
async fn quote(State(shop): State<Arc<Inside>>) -> &'static str {
    shop.quotes_begun.add_permits(1);
    std::future::pending().await
}

/// Ticks as long as the client stays.
async fn events() -> impl IntoResponse {
    let ticks = stream::unfold((), async |()| {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Some((Ok::<_, Infallible>("data: tick\n\n"), ()))
    });
    let event_stream = [(header::CONTENT_TYPE, "text/event-stream")];
    (event_stream, Body::from_stream(ticks))
}

async fn not_found() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "no such page\n")
}
