//! The metrics of the index.

use axum::http::Method;
use tower_prometheus::collect::{CollectError, Collector, Deadline, Samples};
use tower_prometheus::http::{HttpMetric, Naming, StandardLabel};
use tower_prometheus::{Counter, Error, HttpMetrics, HttpMetricsLayer, Registry, catalogue};

use super::database::Database;

catalogue! {
    /// Counters of this process.
    #[prefix = "index_instance_"]
    pub struct InstanceMetrics {
        /// Total number of downloaded packages.
        pub downloads_total: Counter,
    }
}

/// Returns the layer that measures the requests of this process.
///
/// | metric | labels |
/// |---|---|
/// | `index_instance_requests_total` | |
/// | `index_instance_responses_by_status_code_total` | `status` |
/// | `index_instance_response_times_seconds` | `endpoint` |
/// | `index_instance_requests_in_flight` | |
///
/// `requests_total` minus the sum of `responses_by_status_code_total` is the number of requests that had no response,
/// mostly because the client left.
pub fn http_layer(instance: &Registry) -> Result<HttpMetricsLayer, Error> {
    let naming = Naming::classic()
        .family(HttpMetric::Requests, "requests_total")
        .family(HttpMetric::Responses, "responses_by_status_code_total")
        .family(HttpMetric::Duration, "response_times_seconds")
        .family(HttpMetric::InProgress, "requests_in_flight");
    HttpMetrics::server()
        .prefix("index_instance")
        .naming(naming)
        .measure(HttpMetric::Responses)
        .without(HttpMetric::AbortedBodies)
        .without(HttpMetric::OpenConnections)
        .standard_labels(HttpMetric::Requests, [])
        .standard_labels(HttpMetric::Responses, [StandardLabel::Status])
        .standard_labels(HttpMetric::Duration, [StandardLabel::Endpoint])
        .standard_labels(HttpMetric::InProgress, [])
        .help(HttpMetric::Requests, "Total number of HTTP requests.")
        // Exported as 0 from start-up, so that `increase()` counts the first requests, too.
        .preregister(Method::GET, "/packages/{name}", [200, 404])
        .preregister(Method::GET, "/packages/{name}/{version}", [200, 404])
        .preregister(Method::PUT, "/packages/{name}/{version}", [201, 409])
        .build(instance)
}

/// Queries the database for the metrics of the whole index.
pub struct IndexCollector(pub Database);

impl Collector for IndexCollector {
    async fn collect(&self, deadline: Deadline, samples: &mut Samples) -> Result<(), CollectError> {
        let counts = tokio::time::timeout_at(deadline.instant(), self.0.counts()).await??;
        samples
            .gauge("index_service_packages", "Number of packages.")
            .value(counts.packages);
        samples
            .gauge("index_service_versions", "Number of published versions.")
            .value(counts.versions);
        samples
            .gauge(
                "index_service_queued_builds",
                "Number of versions whose documentation is not built.",
            )
            .value(counts.queued_builds);
        Ok(())
    }
}
