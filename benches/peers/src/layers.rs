//! The same service with each of the layers, and the number of requests that each has counted.

use axum::Router;
use axum::routing::get;
use axum_otel_metrics::HttpMetricsLayerBuilder;
use axum_prometheus::PrometheusMetricLayer;
use otel30::metrics::MeterProvider as _;
use prometheus_axum_middleware::PrometheusAxumLayer;
use tower_otel_http_metrics::HTTPMetricsLayerBuilder;
use tower_prometheus::Registry;

use crate::otel;

pub const PATH: &str = "/users/7";

/// A layer under measurement.
pub struct Subject {
    pub name: &'static str,
    /// A router for each thread, because clones of one router share the reference count of axum's `MatchedPath`.
    pub routers: [Router; 2],
    counted: Box<dyn Fn() -> Option<u64> + Sync>,
}

impl Subject {
    fn new(
        name: &'static str,
        layer: impl Fn(Router) -> Router,
        counted: impl Fn() -> Option<u64> + Sync + 'static,
    ) -> Self {
        // Without `with_state`, axum would build the router for each request.
        let router =
            || layer(Router::new().route("/users/{id}", get(async || "hello"))).with_state(());
        Self {
            name,
            routers: [router(), router()],
            counted: Box::new(counted),
        }
    }

    /// Asserts that the layer counted every request, if it counts them.
    pub fn check(&self, requests: u64) {
        if let Some(counted) = (self.counted)() {
            assert_eq!(counted, requests, "{}", self.name);
        }
    }

    /// Returns the number of requests that the layer has counted, if it counts them.
    pub fn counted(&self) -> Option<u64> {
        (self.counted)()
    }
}

pub fn bare() -> Subject {
    Subject::new("bare router", |router| router, || None)
}

pub fn ours() -> Subject {
    let registry = Registry::new();
    let layer = registry.http_layer();
    let layered = move |router: Router| router.layer(layer.clone());
    Subject::new("tower-prometheus", layered, move || {
        let requests = registry.sum("http_requests_total", &[("status", "200")]);
        requests.map(|requests| requests as u64)
    })
}

/// Uses the global recorder. A task of axum-prometheus processes the recorded samples every few seconds.
pub fn axum_prometheus() -> Subject {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build();
    let runtime = Box::leak(Box::new(runtime.expect("a runtime")));
    let _entered = runtime.enter();
    let (layer, handle) = PrometheusMetricLayer::pair();
    let layered = move |router: Router| router.layer(layer.clone());
    Subject::new("axum-prometheus", layered, move || {
        sum_of(&handle.render(), "axum_http_requests_total{")
    })
}

pub fn prometheus_axum_middleware() -> Subject {
    let layered = |router: Router| router.layer(PrometheusAxumLayer::new());
    Subject::new("prometheus-axum-middleware", layered, || {
        sum_of(&default_page(), "axum_http_requests_total{")
    })
}

pub fn tonic_prometheus_layer() -> Subject {
    use tonic_prometheus_layer::{MetricsLayer, metrics};
    metrics::try_init_settings(metrics::GlobalSettings::default())
        .expect("the settings are initialized once");
    let layered = |router: Router| router.layer(MetricsLayer::new());
    Subject::new("tonic_prometheus_layer", layered, || {
        let page = metrics::encode_to_string().expect("the page can be encoded");
        sum_of(&page, "grpc_server_handled_total{")
    })
}

pub fn axum_otel_metrics() -> Subject {
    let (provider, counted) = otel::sdk32();
    let layer = HttpMetricsLayerBuilder::new()
        .with_provider(provider)
        .build();
    let layered = move |router: Router| router.layer(layer.clone());
    Subject::new("axum-otel-metrics", layered, counted)
}

pub fn tower_otel_http_metrics() -> Subject {
    let (provider, counted) = otel::sdk30();
    let layer = HTTPMetricsLayerBuilder::builder().with_meter(provider.meter("bench"));
    let layer = layer.build().expect("the defaults are valid");
    let layered = move |router: Router| router.layer(layer.clone());
    Subject::new("tower-otel-http-metrics", layered, counted)
}

/// Uses the global meter. Tracing is disabled.
pub fn opentelemetry_instrumentation_tower() -> Subject {
    use opentelemetry_instrumentation_tower::http::server::LayerBuilder;
    let (provider, counted) = otel::sdk33();
    otel33::global::set_meter_provider(provider);
    let layer = LayerBuilder::builder().with_tracing(false).build();
    let layer = layer.expect("the defaults are valid");
    let layered = move |router: Router| router.layer(layer.clone());
    Subject::new("opentelemetry-instrumentation-tower", layered, counted)
}

fn default_page() -> String {
    let families = prometheus::gather();
    let page = prometheus::TextEncoder::new().encode_to_string(&families);
    page.expect("the page can be encoded")
}

/// Returns the sum of the samples whose lines start with `begin`.
fn sum_of(page: &str, begin: &str) -> Option<u64> {
    let lines = page.lines().filter(|line| line.starts_with(begin));
    let values = lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok());
    Some(values.sum())
}
