//! Exemplars of native histograms.

use std::time::{Duration, Instant};

use http::{Request, Response};
use tower::{Layer, Service, service_fn};
use tower_prometheus::{HttpMetrics, HttpMetricsLayer, NativeHistogram, Registry, http::TraceId};

use crate::messages::{Exemplar, Histogram};
use crate::page::find;
use crate::{PROMETHEUS_3, families, scrape};

/// The durations of requests, about: from 8 µs to 0.13 s, each in another octave.
fn octaves() -> impl Iterator<Item = Duration> {
    (3..18).map(|power| Duration::from_micros(1 << power))
}

fn layer(registry: &Registry, buckets: Option<Vec<f64>>) -> HttpMetricsLayer {
    let metrics = HttpMetrics::server().exemplar(TraceId::from_traceparent);
    let metrics = match buckets {
        Some(buckets) => metrics.duration_buckets(buckets),
        None => metrics,
    };
    metrics.build(registry).unwrap()
}

/// Sends a request of each duration, with a trace that ends with the number of the round.
async fn send(layer: HttpMetricsLayer, round: u32) {
    for (i, duration) in octaves().enumerate() {
        let service = service_fn(async |_: Request<()>| {
            let start = Instant::now();
            while start.elapsed() < duration {
                std::hint::spin_loop();
            }
            Ok::<_, ()>(Response::new(String::new()))
        });
        let trace = format!("00-{:024x}{round:08x}-00f067aa0ba902b7-01", i + 1);
        let request = Request::get("/").header("traceparent", trace);
        let response = layer.layer(service).call(request.body(()).unwrap()).await;
        drop(response);
    }
}

async fn histogram(registry: &Registry) -> Histogram {
    let families = families(registry, PROMETHEUS_3).await;
    let family = find(&families, "http_request_duration_seconds");
    family.metric[0].histogram.clone().unwrap()
}

/// The round in the trace of an exemplar.
fn round(exemplar: &Exemplar) -> u32 {
    let trace = exemplar.label[0].value();
    u32::from_str_radix(&trace[24..], 16).unwrap()
}

fn time(exemplar: &Exemplar) -> (i64, i32) {
    let timestamp = exemplar.timestamp.as_ref().unwrap();
    (timestamp.seconds(), timestamp.nanos())
}

#[tokio::test]
async fn native_histogram_has_at_most_ten_exemplars_and_replaces_them() {
    let settings = NativeHistogram::new(1.1).without_classic_buckets();
    let builder = Registry::builder().native_histograms(settings);
    let registry = builder.build().unwrap();
    let layer = layer(&registry, None);
    // An exemplar is replaced at most once per second, so most rounds replace none.
    let deadline = Instant::now() + Duration::from_secs(60);
    for current in 0.. {
        send(layer, current).await;
        let exemplars = histogram(&registry).await.exemplars;
        assert!((1..=10).contains(&exemplars.len()), "{exemplars:?}");
        assert!(exemplars.iter().all(|exemplar| time(exemplar).0 > 0));
        if exemplars.iter().all(|exemplar| round(exemplar) > 0) {
            return;
        }
        assert!(Instant::now() < deadline, "{exemplars:?}");
    }
}

#[tokio::test]
async fn histogram_with_classic_and_native_buckets_has_the_ten_latest_exemplars() {
    let builder = Registry::builder().native_histograms(1.1);
    let registry = builder.build().unwrap();
    let bounds = octaves().map(|duration| duration.as_secs_f64() * 1.9);
    let layer = layer(&registry, Some(bounds.collect()));
    send(layer, 0).await;
    let histogram = histogram(&registry).await;
    let of_buckets = histogram.bucket.iter().filter_map(|b| b.exemplar.clone());
    let mut latest: Vec<_> = of_buckets.collect();
    assert!(latest.len() > 10, "{latest:?}");
    latest.sort_by_key(|exemplar| std::cmp::Reverse(time(exemplar)));
    assert_eq!(histogram.exemplars, latest[..10]);
}

#[tokio::test]
async fn open_metrics_has_the_latest_exemplar_of_a_histogram_with_only_native_buckets() {
    let settings = NativeHistogram::new(1.1).without_classic_buckets();
    let builder = Registry::builder().native_histograms(settings);
    let registry = builder.build().unwrap();
    send(layer(&registry, None), 0).await;
    let exemplars = histogram(&registry).await.exemplars;
    let latest = exemplars.iter().max_by_key(|exemplar| time(exemplar));
    let trace = latest.unwrap().label[0].value();
    let page = scrape(&registry, "application/openmetrics-text").await;
    let page = String::from_utf8(page.into_body()).unwrap();
    let line = format!("le=\"+Inf\"}} 15 # {{trace_id=\"{trace}\"}} ");
    assert!(page.contains(&line), "{line}: {page}");
}
