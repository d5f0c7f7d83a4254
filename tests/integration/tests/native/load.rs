//! Prometheus scrapes a service under load, whose durations are native histograms.
//!
//! The test runs for 20 s, or for the seconds in `TEST_LOAD_SECONDS`.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::response::Response;
use axum::routing::get;
use axum::{Router, body::Body, extract::Request};
use http_body::{Frame, SizeHint};
use test_support::server::{Protocol, Server};
use test_support::skip_without;
use test_support::store::Store;
use tower::{Layer, ServiceExt, service_fn};
use tower_prometheus::{NativeHistogram, Registry};

use crate::prometheus::{config, wait_for};

const CONNECTIONS: usize = 16;

/// The growth of the buckets of schema 3, and a margin for the rate of the layer's clock.
const GROWTH: f64 = 1.0906;

/// Durations in seconds, one of each request.
#[derive(Clone, Default)]
struct Durations(Arc<Mutex<Vec<f64>>>);

impl Durations {
    fn push(&self, since: Instant) {
        let seconds = since.elapsed().as_secs_f64();
        self.0.lock().unwrap().push(seconds);
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    fn sum(&self) -> f64 {
        self.0.lock().unwrap().iter().sum()
    }

    /// The smallest duration that at least this part of the durations does not exceed.
    fn quantile(&self, quantile: f64) -> f64 {
        let mut durations = self.0.lock().unwrap();
        durations.sort_by(f64::total_cmp);
        let rank = (quantile * durations.len() as f64).ceil() as usize;
        durations[rank - 1]
    }
}

/// A response body that adds the duration of its request once the body inside, which the layer measures, is dropped.
struct Timed {
    // Fields are dropped in this order.
    body: Body,
    _end: AddDuration,
}

struct AddDuration {
    start: Instant,
    durations: Durations,
}

impl Drop for AddDuration {
    fn drop(&mut self) {
        self.durations.push(self.start);
    }
}

impl http_body::Body for Timed {
    type Data = bytes::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// How long the handler waits: from 1 ms to 0.26 s, most of the time a few milliseconds.
fn work(request: u64) -> Duration {
    let part = (request.wrapping_mul(0x9E37_79B9) % 1000) as f64 / 1000.0;
    Duration::from_secs_f64(0.001 * 256_f64.powf(part.powi(4)))
}

/// A router whose requests are timed inside the layer, by the layer and around it: each of the `inner` durations is
/// shorter than that of the layer, and each of the `outer` ones is longer.
fn router(registry: &Registry, inner: &Durations, outer: &Durations) -> Router {
    let (inner, outer) = (inner.clone(), outer.clone());
    let requests = Arc::new(AtomicU64::new(0));
    let handler = move || {
        let (inner, request) = (inner.clone(), requests.fetch_add(1, Ordering::Relaxed));
        async move {
            let start = Instant::now();
            tokio::time::sleep(work(request)).await;
            inner.push(start);
            "done"
        }
    };
    let measured = Router::new().route("/work", get(handler));
    let measured = registry.http_layer().layer(measured);
    let timed = service_fn(move |request: Request| {
        let (measured, durations) = (measured.clone(), outer.clone());
        async move {
            let start = Instant::now();
            let response = measured.oneshot(request).await?;
            let timed = |body| Timed {
                body: Body::new(body),
                _end: AddDuration { start, durations },
            };
            Ok::<_, Infallible>(Response::map(response, timed).map(Body::new))
        }
    });
    Router::new()
        .route("/metrics", get(registry.handler()))
        .fallback_service(timed)
}

fn seconds() -> u64 {
    match std::env::var("TEST_LOAD_SECONDS") {
        Ok(seconds) => seconds.parse().expect("TEST_LOAD_SECONDS is a number"),
        Err(_) => 20,
    }
}

/// Sends requests, one after the other on each connection. Returns the number of requests.
async fn load(server: &Server, duration: Duration) -> u64 {
    let start = Instant::now();
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let mut client = server.connect(Protocol::Http1).await;
        clients.spawn(async move {
            let mut sent = 0;
            while start.elapsed() < duration {
                let (status, _) = client.fetch("GET", "/work").await;
                assert_eq!(status, 200);
                sent += 1;
            }
            sent
        });
    }
    clients.join_all().await.into_iter().sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_reads_the_counts_and_quantiles_of_a_service_under_load() {
    skip_without!(Curl, Prometheus);
    let settings = NativeHistogram::new(1.1).without_classic_buckets();
    let registry = Registry::builder()
        .native_histograms(settings)
        .build()
        .unwrap();
    let (inner, outer) = (Durations::default(), Durations::default());
    let server = Server::start(router(&registry, &inner, &outer)).await;
    let target = server.url("").trim_start_matches("http://").to_owned();
    let prometheus = Store::prometheus_with_native_histograms(&config(&target));
    // The first scrape.
    wait_for(&prometheus, "up", 1.0).await;

    let sent = load(&server, Duration::from_secs(seconds())).await;
    let durations = "http_request_duration_seconds";
    let count = format!("sum(histogram_count({durations}))");
    wait_for(&prometheus, &count, sent as f64).await;
    while outer.len() < sent as usize {
        tokio::task::yield_now().await;
    }

    assert_eq!(prometheus.wait_for_values("min_over_time(up[1d])"), [1.0]);
    let sum = prometheus.wait_for_values(&format!("sum(histogram_sum({durations}))"))[0];
    let expected = inner.sum() / 1.001..outer.sum() * 1.001;
    assert!(expected.contains(&sum), "{sum} is not in {expected:?}");
    for quantile in [0.5, 0.99, 0.999] {
        let query = format!("histogram_quantile({quantile}, sum({durations}))");
        let read = prometheus.wait_for_values(&query)[0];
        // The layer's own quantile is between the two, and Prometheus' is in the same bucket.
        let expected = inner.quantile(quantile) / GROWTH..outer.quantile(quantile) * GROWTH;
        assert!(
            expected.contains(&read),
            "{quantile}: {read} is not in {expected:?}"
        );
    }
    // A series for each label set, and none for buckets, counts and sums.
    let names = format!("count(count by (__name__) ({{__name__=~\"{durations}.*\"}}))");
    assert_eq!(prometheus.wait_for_values(&names), [1.0]);
}
