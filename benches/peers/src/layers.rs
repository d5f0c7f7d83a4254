//! The layers, each with its names of metrics and labels, and a function that reads its samples.

use axum::Router;
use axum::body::{Body, Bytes};
use axum_otel_metrics::HttpMetricsLayerBuilder;
use axum_prometheus::PrometheusMetricLayer;
use http::{Request, Response};
use opentelemetry_instrumentation_tower::http::extractors;
use opentelemetry_instrumentation_tower::http::server::LayerBuilder;
use otel30::metrics::MeterProvider as _;
use prometheus_axum_middleware::PrometheusAxumLayer;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Layer, Service, ServiceExt};
use tower_otel_http_metrics::HTTPMetricsLayerBuilder;
use tower_prometheus::grpc::GrpcRequestBody;
use tower_prometheus::http::RequestBody;
use tower_prometheus::{HttpMetrics, Registry};

use crate::otel;
use crate::samples::Samples;

/// A service without a router, which can fail.
pub type HttpService = BoxCloneSyncService<Request<Body>, Response<Body>, BoxError>;

/// The names of the metrics and labels of a layer.
#[derive(Clone, Copy)]
pub struct Names {
    /// Counts requests, with the label `status`.
    pub requests: &'static str,
    pub status: &'static str,
    /// The number of recorded durations.
    pub durations: &'static str,
    pub in_progress: &'static str,
    /// A metric that has the labels `endpoint` and `method`.
    pub labelled: &'static str,
    pub endpoint: &'static str,
    pub method: &'static str,
}

const OURS: Names = Names {
    requests: "http_requests_total",
    status: "status",
    durations: "http_request_duration_seconds_count",
    in_progress: "http_requests_in_progress",
    labelled: "http_requests_total",
    endpoint: "endpoint",
    method: "method",
};

const OUR_GRPC: Names = Names {
    requests: "grpc_server_handled_total",
    status: "grpc_code",
    durations: "grpc_server_handling_seconds_count",
    in_progress: "grpc_server_in_progress",
    labelled: "grpc_server_handled_total",
    endpoint: "grpc_method",
    method: "grpc_type",
};

/// Of axum-prometheus and prometheus-axum-middleware.
const AXUM: Names = Names {
    requests: "axum_http_requests_total",
    durations: "axum_http_requests_duration_seconds_count",
    in_progress: "axum_http_requests_pending",
    labelled: "axum_http_requests_total",
    ..OURS
};

const OPEN_TELEMETRY: Names = Names {
    requests: "http.server.request.duration_count",
    status: "http.response.status_code",
    durations: "http.server.request.duration_count",
    in_progress: "http.server.active_requests",
    labelled: "http.server.request.duration_count",
    endpoint: "http.route",
    method: "http.request.method",
};

const TONIC: Names = Names {
    requests: "grpc_server_handled_total",
    status: "grpc_code",
    durations: "grpc_server_handling_seconds_count",
    in_progress: "function_calls_concurrent",
    labelled: "function_calls_total",
    endpoint: "path",
    method: "method",
};

/// A layer and what it exports.
pub struct Peer {
    pub name: &'static str,
    pub names: Names,
    on_router: Box<dyn Fn(Router) -> Router + Sync>,
    on_service: Box<dyn Fn(HttpService) -> HttpService + Sync>,
    samples: Box<dyn Fn() -> Samples + Sync>,
}

impl Peer {
    /// Adds the layer to all routes of a router.
    pub fn on_router(&self, router: Router) -> Router {
        (self.on_router)(router)
    }

    /// Wraps a service in the layer.
    pub fn on_service(&self, service: HttpService) -> HttpService {
        (self.on_service)(service)
    }

    /// Reads what the layer exports.
    pub fn samples(&self) -> Samples {
        (self.samples)()
    }
}

/// A [`Peer`] of a layer that passes requests on as they are.
macro_rules! peer {
    ($name:expr, $names:expr, $layer:expr, $samples:expr) => {{
        let layer = $layer;
        let of_service = layer.clone();
        Peer {
            name: $name,
            names: $names,
            on_router: Box::new(move |router| router.layer(layer.clone())),
            on_service: Box::new(move |service| boxed(of_service.layer(service))),
            samples: Box::new($samples),
        }
    }};
}

fn boxed<S, B>(service: S) -> HttpService
where
    S: Service<Request<Body>, Response = Response<B>, Error = BoxError>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    BoxCloneSyncService::new(service.map_response(|response: Response<B>| response.map(Body::new)))
}

pub fn ours() -> Peer {
    configured(HttpMetrics::server())
}

/// With a function that names no endpoint.
pub fn ours_with_endpoint_fn() -> Peer {
    configured(HttpMetrics::server().endpoint_fn(|_| None))
}

fn configured(metrics: HttpMetrics) -> Peer {
    let registry = Registry::new();
    let layer = metrics.build(&registry).expect("the settings are valid");
    let samples = move || Samples::parse(&registry.render());
    peer!("tower-prometheus", OURS, layer, samples)
}

pub fn ours_with_request_body() -> Peer {
    let registry = Registry::new();
    let layer = HttpMetrics::server().with_request_body().build(&registry);
    let layer = layer.expect("the settings are valid");
    Peer {
        name: "tower-prometheus",
        names: OURS,
        on_router: Box::new(move |router| router.layer(layer)),
        on_service: Box::new(move |service| {
            let service = service.map_request(|r: Request<RequestBody<Body>>| r.map(Body::new));
            boxed(layer.layer(service))
        }),
        samples: Box::new(move || Samples::parse(&registry.render())),
    }
}

pub fn our_grpc() -> Peer {
    let registry = Registry::new();
    let layer = registry.grpc_layer();
    Peer {
        name: "tower-prometheus",
        names: OUR_GRPC,
        on_router: Box::new(move |router| router.layer(layer)),
        on_service: Box::new(move |service| {
            let service = service.map_request(|r: Request<GrpcRequestBody<Body>>| r.map(Body::new));
            boxed(layer.layer(service))
        }),
        samples: Box::new(move || Samples::parse(&registry.render())),
    }
}

/// Uses the global recorder. A task of axum-prometheus processes the recorded samples every few seconds.
pub fn axum_prometheus() -> Peer {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build();
    let runtime = Box::leak(Box::new(runtime.expect("a runtime")));
    let _entered = runtime.enter();
    let (layer, handle) = PrometheusMetricLayer::<'static>::pair();
    let samples = move || Samples::parse(&handle.render());
    peer!("axum-prometheus", AXUM, layer, samples)
}

/// Uses the default registry.
pub fn prometheus_axum_middleware() -> Peer {
    let layer = PrometheusAxumLayer::new();
    let samples = || Samples::parse(&default_page());
    peer!("prometheus-axum-middleware", AXUM, layer, samples)
}

/// Uses the crate's registry. Can be called once.
pub fn tonic_prometheus_layer() -> Peer {
    use tonic_prometheus_layer::{MetricsLayer, metrics};
    metrics::try_init_settings(metrics::GlobalSettings::default())
        .expect("the settings are initialized once");
    let samples = || Samples::parse(&metrics::encode_to_string().expect("the page can be encoded"));
    peer!(
        "tonic_prometheus_layer",
        TONIC,
        MetricsLayer::new(),
        samples
    )
}

pub fn axum_otel_metrics() -> Peer {
    let (provider, samples) = otel::sdk32();
    let layer = HttpMetricsLayerBuilder::new()
        .with_provider(provider)
        .build();
    peer!("axum-otel-metrics", OPEN_TELEMETRY, layer, samples)
}

pub fn tower_otel_http_metrics() -> Peer {
    let (provider, samples) = otel::sdk30();
    let layer = HTTPMetricsLayerBuilder::builder().with_meter(provider.meter("bench"));
    let layer = layer.build().expect("the defaults are valid");
    peer!("tower-otel-http-metrics", OPEN_TELEMETRY, layer, samples)
}

/// Exports no route: what the measured times are of.
pub fn opentelemetry_instrumentation_tower_without_route() -> Peer {
    instrumentation(LayerBuilder::builder().with_route_extractor(extractors::NoRouteExtractor))
}

/// Exports axum's matched route.
pub fn opentelemetry_instrumentation_tower() -> Peer {
    instrumentation(LayerBuilder::builder())
}

/// With a function that names no route.
pub fn opentelemetry_instrumentation_tower_with_route_fn() -> Peer {
    let route = |_: &Request<Body>| None;
    instrumentation(LayerBuilder::builder().with_route_extractor_fn(route))
}

/// Uses the global meter. Tracing is disabled.
fn instrumentation<R: extractors::RouteExtractor<Body>>(builder: LayerBuilder<R>) -> Peer {
    let (provider, samples) = otel::sdk33();
    otel33::global::set_meter_provider(provider);
    let layer = builder.with_tracing(false).build();
    let layer = layer.expect("the defaults are valid");
    peer!(
        "opentelemetry-instrumentation-tower",
        OPEN_TELEMETRY,
        layer,
        samples
    )
}

pub fn default_page() -> String {
    let families = prometheus::gather();
    let page = prometheus::TextEncoder::new().encode_to_string(&families);
    page.expect("the page can be encoded")
}
