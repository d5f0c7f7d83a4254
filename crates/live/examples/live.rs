//! A demo shop with traffic, and its live page: `cargo run --release -p tower-prometheus-live --example live`.
//!
//! The shop has fast endpoints, slow ones, and some that fail, panic, never respond or stream. `PORT` sets the port; by
//! default, the system chooses one. `RATE` sets the number of requests per second: 80 by default, 0 for none.

use std::convert::Infallible;
use std::f64::consts::TAU;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{Request, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Router, serve};
use futures_util::stream;
use http_body_util::BodyExt;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tower_http::catch_panic::CatchPanicLayer;
use tower_prometheus::collectors::{InfoCollector, ProcessCollector, RuntimeCollector};
use tower_prometheus::{HttpMetrics, Registry, http::HttpMetric};

type Error = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let metrics = Registry::builder()
        .constant_label("service", "shop")
        .buckets_for("order_value_euros", [10.0, 20.0, 50.0, 100.0, 200.0])
        .native_histograms_for("http_request_duration_seconds", 1.1)
        .install()?;
    metrics.collector("build", InfoCollector::build(env!("CARGO_PKG_VERSION")))?;
    metrics.collector("process", ProcessCollector::new()?)?;
    metrics.collector("runtime", RuntimeCollector::current()?)?;

    let port = std::env::var("PORT").unwrap_or_else(|_| "0".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    let address = listener.local_addr()?;
    let shop = app(&metrics)?;
    println!("live page:    http://{address}/live");
    println!("metrics page: http://{address}/metrics");
    println!("ctrl-c stops the shop");
    let rate = std::env::var("RATE").map_or(Ok(80.0), |rate| rate.parse())?;
    if rate > 0.0 {
        tokio::spawn(traffic(format!("http://{address}"), rate));
    }
    serve(listener, shop).await?;
    Ok(())
}

fn app(metrics: &Registry) -> Result<Router, Error> {
    let layer = HttpMetrics::server()
        .measure(HttpMetric::ResponseBodySize)
        .build(metrics)?;
    Ok(Router::new()
        .route("/users/{id}", get(user))
        .route("/search", get(search))
        .route("/orders", post(order))
        .route("/export/{pieces}", get(export))
        .route("/legacy", get(legacy))
        .route("/quotes", get(quote))
        .route("/events", get(events))
        .with_state(Arc::new(Shop::default()))
        .route("/metrics", get(metrics.handler()))
        .nest_service("/live", tower_prometheus_live::page(metrics))
        .layer(layer)
        .layer(CatchPanicLayer::new()))
}

struct Shop {
    random: Random,
    started: Instant,
}

impl Default for Shop {
    fn default() -> Self {
        Self {
            random: Random::default(),
            started: Instant::now(),
        }
    }
}

impl Shop {
    /// Sleeps from `min` to `max` milliseconds, mostly near `min` and seldom near `max`.
    async fn work(&self, min: f64, max: f64) {
        let share = self.random.next();
        let milliseconds = min * (max / min).powf(share * share);
        tokio::time::sleep(Duration::from_secs_f64(milliseconds / 1000.0)).await;
    }

    /// For 20 s of each two minutes, the bank of the shop fails.
    fn is_bank_down(&self) -> bool {
        (30..50).contains(&(self.started.elapsed().as_secs() % 120))
    }
}

async fn user(State(shop): State<Arc<Shop>>, Path(id): Path<u32>) -> String {
    shop.work(2.0, 20.0).await;
    format!("user {id}\n")
}

async fn search(State(shop): State<Arc<Shop>>) -> String {
    shop.work(30.0, 900.0).await;
    "a result\n".repeat(200)
}

async fn order(State(shop): State<Arc<Shop>>) -> (StatusCode, &'static str) {
    shop.work(10.0, 120.0).await;
    if shop.is_bank_down() && shop.random.next() < 0.5 {
        metrics::counter!("orders_total", "result" => "refused").increment(1);
        return (StatusCode::SERVICE_UNAVAILABLE, "the bank is down\n");
    }
    metrics::counter!("orders_total", "result" => "placed").increment(1);
    metrics::histogram!("order_value_euros").record(5.0 + 200.0 * shop.random.next().powi(3));
    metrics::gauge!("stock_items", "article" => "book").set(100.0 + 900.0 * shop.random.next());
    (StatusCode::CREATED, "ordered\n")
}

/// Streams pieces of 4 KiB, 10 ms apart.
async fn export(Path(pieces): Path<u32>) -> Body {
    Body::from_stream(stream::unfold(0, move |piece| async move {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let bytes = Bytes::from_static(&[b'.'; 4096]);
        (piece < pieces).then_some((Ok::<_, Infallible>(bytes), piece + 1))
    }))
}

/// Panics. `resume_unwind` skips the panic hook, which would print a message for each request.
async fn legacy() -> &'static str {
    std::panic::resume_unwind(Box::new("the shop is on fire"))
}

/// Waits for a partner that never responds: clients time out.
async fn quote() -> &'static str {
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

/// A request of the traffic: its share in percent, its path, and when the client disconnects.
struct Visit {
    share: f64,
    method: &'static str,
    path: &'static str,
    patience: Duration,
}

const fn visit(share: f64, method: &'static str, path: &'static str, patience_ms: u64) -> Visit {
    let patience = Duration::from_millis(patience_ms);
    Visit {
        share,
        method,
        path,
        patience,
    }
}

const VISITS: [Visit; 9] = [
    visit(50.0, "GET", "/users/42", 10_000),
    visit(15.0, "GET", "/search", 10_000),
    visit(18.0, "POST", "/orders", 10_000),
    visit(4.0, "GET", "/export/15", 10_000),
    visit(2.0, "GET", "/export/1000", 100),
    visit(1.0, "GET", "/legacy", 10_000),
    visit(3.0, "GET", "/quotes", 300),
    visit(1.0, "GET", "/events", 5_000),
    visit(6.0, "GET", "/wp-login.php", 10_000),
];

/// Sends requests forever, in waves of a minute.
async fn traffic(shop: String, rate: f64) {
    let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    let random = Random::default();
    let start = Instant::now();
    loop {
        let wave = (start.elapsed().as_secs_f64() / 60.0 * TAU).sin();
        let per_second = rate * (1.0 + 0.4 * wave) * (0.8 + 0.4 * random.next());
        tokio::time::sleep(Duration::from_secs_f64(1.0 / per_second)).await;
        tokio::spawn(send(client.clone(), shop.clone(), choose(&random)));
    }
}

fn choose(random: &Random) -> &'static Visit {
    let mut rest = random.next() * 100.0;
    let chosen = VISITS.iter().find(|visit| {
        rest -= visit.share;
        rest < 0.0
    });
    chosen.unwrap_or(&VISITS[0])
}

/// Sends a request and reads the response. Errors do not matter: the shop counts them.
async fn send(client: Client<HttpConnector, Body>, shop: String, visit: &Visit) {
    let request = Request::builder()
        .method(visit.method)
        .uri(format!("{shop}{}", visit.path));
    let Ok(request) = request.body(Body::empty()) else {
        return;
    };
    let read = async {
        if let Ok(response) = client.request(request).await {
            let mut body = response.into_body();
            while let Some(Ok(_)) = body.frame().await {}
        }
    };
    let _ = tokio::time::timeout(visit.patience, read).await;
}

/// SplitMix64: pseudo-random numbers, the same on every run.
#[derive(Default)]
struct Random(AtomicU64);

impl Random {
    /// Returns a number from 0 to 1.
    fn next(&self) -> f64 {
        let step = 0x9e37_79b9_7f4a_7c15;
        let mut bits = self.0.fetch_add(step, Ordering::Relaxed).wrapping_add(step);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) as f64 / u64::MAX as f64
    }
}
