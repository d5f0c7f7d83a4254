//! The metrics of the server.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use tower_prometheus::http::{HttpMetric, MeasureUntil, Naming};
use tower_prometheus::{Error, HttpMetrics, HttpMetricsLayer, Registry};

pub const RECORDS: &str = "sync_records_total";
pub const RECORD_SIZE: &str = "sync_record_size_bytes";
pub const STORED_RECORDS: &str = "sync_stored_records";

/// Returns the layer that measures the API. It records into the global recorder as soon as one is installed.
///
/// | metric | labels |
/// |---|---|
/// | `http_requests_total` | `method`, `path`, `status` |
/// | `http_requests_duration_seconds`, the time to the response head | `method`, `path`, `status` |
/// | `http_requests_in_progress` | `method`, `path` |
/// | `http_response_bodies_aborted_total` | `method`, `path`, `reason` |
///
/// The label `path` has the route template, never the path of a request.
pub fn http_layer() -> Result<HttpMetricsLayer, Error> {
    let naming = Naming::classic()
        .endpoint_label("path")
        .family(HttpMetric::Duration, "http_requests_duration_seconds");
    HttpMetrics::server()
        .naming(naming)
        .status_on_durations()
        // A download takes as long as the client's network needs: only the head shows how fast this server is.
        .measure_until(MeasureUntil::Head)
        .build_global()
}

/// Installs the recorder of the layer and of the macros in `api`, and describes the metrics of the macros.
pub fn install_recorder() -> Result<Registry, Error> {
    let registry = Registry::builder()
        .buckets_for(RECORD_SIZE, [256.0, 4096.0, 65536.0, 1048576.0])
        .install()?;
    // After `install`: without a recorder, descriptions are lost.
    describe_counter!(RECORDS, "Total number of uploaded records, by collection.");
    describe_histogram!(
        RECORD_SIZE,
        Unit::Bytes,
        "Size of uploaded records in bytes."
    );
    describe_gauge!(STORED_RECORDS, "Number of stored records, by collection.");
    Ok(registry)
}
