//! Created timestamps: requests before the first scrape of their series are not lost.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use axum::{Router, routing::get};
use http::{Request, Response};
use test_support::server::Server;
use test_support::skip_without;
use test_support::store::Store;
use tower::{Layer, Service, service_fn};
use tower_prometheus::{HttpMetrics, NativeHistogram, Registry};

use crate::messages::{Metric, Timestamp};
use crate::page::find;
use crate::prometheus::{config, wait_for};
use crate::{PROMETHEUS_3, families};

const ENDPOINTS: u64 = 1000;

/// The number of requests of an endpoint: one to nine.
fn requests(endpoint: &str) -> u64 {
    let number: u64 = endpoint.trim_start_matches("/items/").parse().unwrap();
    1 + number % 9
}

/// Sends the requests of all endpoints.
async fn send_to_all(registry: &Registry) {
    let endpoints = (0..ENDPOINTS).map(|number| format!("/items/{number}"));
    let endpoints: Vec<_> = endpoints.collect();
    let metrics = HttpMetrics::server().max_endpoints(endpoints.len());
    let layer = metrics.route_patterns(&endpoints).build(registry).unwrap();
    let service = service_fn(async |_: Request<()>| Ok::<_, ()>(Response::new(String::new())));
    let mut service = layer.layer(service);
    for endpoint in &endpoints {
        for _ in 0..requests(endpoint) {
            let request = Request::get(endpoint).body(()).unwrap();
            drop(service.call(request).await.unwrap());
        }
    }
}

fn registry() -> Registry {
    let settings = NativeHistogram::new(1.1).without_classic_buckets();
    let builder = Registry::builder().native_histograms(settings);
    builder.build().unwrap()
}

fn endpoint(metric: &Metric) -> &str {
    let label = metric.label.iter().find(|label| label.name() == "endpoint");
    label.unwrap().value()
}

fn milliseconds(time: SystemTime) -> u128 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap().as_millis()
}

fn time(created: Option<&Timestamp>) -> SystemTime {
    let created = created.expect("a created timestamp");
    let since = Duration::new(created.seconds() as u64, created.nanos() as u32);
    SystemTime::UNIX_EPOCH + since
}

#[tokio::test]
async fn series_were_created_between_the_start_and_their_first_scrape() {
    let start = SystemTime::now();
    let registry = registry();
    send_to_all(&registry).await;
    let scrape = SystemTime::now();
    let families = families(&registry, PROMETHEUS_3).await;

    let counters = find(&families, "http_requests_total").metric.iter();
    let counters = counters.map(|metric| {
        let counter = metric.counter.as_ref().unwrap();
        let created = time(counter.created_timestamp.as_ref());
        (endpoint(metric), counter.value.unwrap() as u64, created)
    });
    let durations = find(&families, "http_request_duration_seconds")
        .metric
        .iter();
    let durations = durations.map(|metric| {
        let histogram = metric.histogram.as_ref().unwrap();
        let created = time(histogram.created_timestamp.as_ref());
        (endpoint(metric), histogram.sample_count.unwrap(), created)
    });
    for series in [counters.collect::<Vec<_>>(), durations.collect()] {
        assert_eq!(series.len(), ENDPOINTS as usize);
        for (endpoint, count, created) in series {
            assert_eq!(count, requests(endpoint), "{endpoint}");
            // Created timestamps have milliseconds.
            let lifetime = milliseconds(start)..=milliseconds(scrape);
            assert!(lifetime.contains(&milliseconds(created)), "{endpoint}");
        }
    }
}

/// `TEST_PROMETHEUS3` is the path of a Prometheus 3. Debian's Prometheus does not know created timestamps.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_3_has_the_first_requests_in_increases() {
    let Some(program) = std::env::var_os("TEST_PROMETHEUS3") else {
        eprintln!("TEST_PROMETHEUS3 is not set: nothing is tested");
        return;
    };
    skip_without!(Curl);
    let registry = registry();
    send_to_all(&registry).await;
    let app = Router::new().route("/metrics", get(registry.handler()));
    let server = Server::start(app).await;
    let target = server.url("").trim_start_matches("http://").to_owned();
    let prometheus = Store::prometheus_3(&PathBuf::from(program), &config(&target));
    // A rate needs two samples. Without created timestamps, this would need two scrapes, and the rates would be 0.
    let expected = ENDPOINTS as f64;
    wait_for(
        &prometheus,
        "count(increase(http_requests_total[1m]))",
        expected,
    )
    .await;
    for increase in [
        "increase(http_requests_total[1m])",
        "histogram_count(increase(http_request_duration_seconds[1m]))",
    ] {
        let series = prometheus.query(increase, None);
        assert_eq!(series.len(), ENDPOINTS as usize, "{increase}");
        for (labels, increase) in series {
            // Prometheus extrapolates, so the increase can be greater than the number of requests.
            let requests = requests(&labels["endpoint"]) as f64;
            assert!(increase >= requests * 0.999, "{labels:?}: {increase}");
        }
    }
}
