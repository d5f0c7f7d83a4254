//! The type of durations, and prefixes.

use std::convert::Infallible;
use std::pin::pin;
use std::task::{Context, Waker};

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use axum::routing::{Route, get};
use axum_prometheus::{BaseMetricLayer, PrometheusMetricLayerBuilder};
use http::Request;
use metrics_exporter_prometheus::PrometheusBuilder;
use peers::layers::{self, Peer};
use peers::samples::Samples;
use prometheus_axum_middleware::PrometheusAxumLayer;
use tower::{Layer, Service, ServiceExt};
use tower_prometheus::{HttpMetrics, Registry, Sink};

use crate::Row;
use crate::streams::panics;

const TESTS: &[&str] = &["tests/http/known_bugs_of_other_crates.rs"];

pub fn rows(peers: &[&Peer]) -> [Row; 3] {
    let in_exporter = |peer: &&Peer| match peer.name {
        "tower-prometheus" => our_durations_in_exporter(),
        "axum-prometheus" => axum_prometheus_durations_in_exporter(),
        _ => "does not use `metrics`",
    };
    let prefixes = |peer: &&Peer| match peer.name {
        "tower-prometheus" => our_prefixes(),
        "axum-prometheus" => axum_prometheus_prefixes(),
        "prometheus-axum-middleware" => prometheus_axum_middleware_prefixes(),
        _ => "no prefix",
    };
    [
        Row {
            input: "type of durations, by default",
            cells: peers
                .iter()
                .map(|peer| durations(peer))
                .map(str::to_owned)
                .collect(),
            tests: TESTS,
        },
        Row {
            input: "… in a recorder of metrics-exporter-prometheus without buckets",
            cells: peers.iter().map(in_exporter).map(str::to_owned).collect(),
            tests: &[],
        },
        Row {
            input: "second prefix in one process",
            cells: peers.iter().map(prefixes).map(str::to_owned).collect(),
            tests: TESTS,
        },
    ]
}

fn durations(peer: &Peer) -> &'static str {
    type_of(&peer.samples(), peer.names.durations)
}

/// The type of durations, from their names. The samples of OpenTelemetry have only histograms, as their counts.
fn type_of(samples: &Samples, durations: &str) -> &'static str {
    let base = durations.strip_suffix("_count").unwrap_or(durations);
    assert!(samples.has(durations), "{durations}");
    match samples.has(&format!("{base}_bucket")) || !base.ends_with("_seconds") {
        true => "histogram",
        false => "summary",
    }
}

fn our_durations_in_exporter() -> &'static str {
    let recorder = PrometheusBuilder::new().build_recorder();
    let exporter = recorder.handle();
    let layer = HttpMetrics::server().build(Sink::recorder(recorder));
    send(layer.expect("the settings are valid"));
    type_of(
        &Samples::parse(&exporter.render()),
        "http_request_duration_seconds_count",
    )
}

fn axum_prometheus_durations_in_exporter() -> &'static str {
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || send(BaseMetricLayer::new()));
    let page = recorder.handle().render();
    type_of(
        &Samples::parse(&page),
        "axum_http_requests_duration_seconds_count",
    )
}

fn our_prefixes() -> &'static str {
    let registry = Registry::new();
    for prefix in ["a", "b"] {
        let layer = HttpMetrics::server().prefix(prefix).build(&registry);
        send(layer.expect("the settings are valid"));
    }
    let samples = Samples::parse(&registry.render());
    let has_both = samples.has("a_http_requests_total") && samples.has("b_http_requests_total");
    supported(has_both)
}

fn axum_prometheus_prefixes() -> &'static str {
    let build = |prefix: &'static str| {
        panics(|| {
            drop(
                PrometheusMetricLayerBuilder::new()
                    .with_prefix(prefix)
                    .build(),
            )
        })
    };
    assert!(!build("a"), "the first prefix is accepted");
    if build("b") { "panics" } else { "supported" }
}

/// Requests without a prefix were counted before.
fn prometheus_axum_middleware_prefixes() -> &'static str {
    prometheus_axum_middleware::set_prefix("b");
    let peer = layers::prometheus_axum_middleware();
    send(PrometheusAxumLayer::new());
    supported(peer.samples().has("b_http_requests_total"))
}

fn supported(is_supported: bool) -> &'static str {
    if is_supported {
        "supported"
    } else {
        "no effect"
    }
}

/// Sends a request through a layer to a service that responds at once.
fn send<L>(layer: L)
where
    L: Layer<Route> + Clone + Send + Sync + 'static,
    L::Service: Service<Request<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    <L::Service as Service<Request<Body>>>::Response: IntoResponse + 'static,
    <L::Service as Service<Request<Body>>>::Future: Send + 'static,
{
    let router = Router::new().route("/", get(async || "ok")).layer(layer);
    let request = Request::new(Body::empty());
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(pin!(router.oneshot(request)).poll(cx).is_ready());
}
