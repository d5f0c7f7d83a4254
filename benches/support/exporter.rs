//! The layer with the recorder of metrics-exporter-prometheus.

use std::sync::Arc;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use tower::Layer;
use tower_prometheus::{HttpMetrics, Sink, http::HttpMetricsService};

use super::service::Hello;

const BOUNDS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

pub struct Exporter {
    pub recorder: Arc<PrometheusRecorder>,
    pub handle: PrometheusHandle,
    pub service: HttpMetricsService<Hello>,
}

pub fn exporter(max_endpoints: usize) -> Exporter {
    let builder = PrometheusBuilder::new().set_buckets(&BOUNDS);
    let recorder = builder
        .expect("the default buckets are valid")
        .build_recorder();
    let handle = recorder.handle();
    let recorder = Arc::new(recorder);
    let layer = HttpMetrics::server()
        .max_endpoints(max_endpoints)
        .build(Sink::recorder(Arc::clone(&recorder)))
        .expect("the configuration is valid");
    Exporter {
        service: layer.layer(Hello),
        recorder,
        handle,
    }
}
