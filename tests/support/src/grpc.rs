//! Values of gRPC metrics, and a layer configuration with preregistered methods.

use tower_prometheus::{GrpcMetrics, Registry, grpc::GrpcType};

use super::{page, wait_until};

/// Preregisters four methods of the service `test.Shop`, one of each type.
pub fn with_shop_methods(metrics: GrpcMetrics) -> GrpcMetrics {
    metrics
        .method("test.Shop", "Say", GrpcType::Unary)
        .method("test.Shop", "Collect", GrpcType::ClientStream)
        .method("test.Shop", "List", GrpcType::ServerStream)
        .method("test.Shop", "Chat", GrpcType::BidiStream)
}

/// [`Registry::sum`], or 0 if no series has these labels.
pub fn sum_or_zero(registry: &Registry, family: &str, labels: &[(&str, &str)]) -> f64 {
    registry.sum(family, labels).unwrap_or(0.0)
}

/// The number of calls to a method of a server that ended with a code.
pub fn handled_calls(registry: &Registry, method: &str, code: &str) -> f64 {
    let labels = [("grpc_method", method), ("grpc_code", code)];
    sum_or_zero(registry, "grpc_server_handled_total", &labels)
}

/// The number of messages that a server received and sent in calls to a method.
pub fn message_counts(registry: &Registry, method: &str) -> (f64, f64) {
    let labels = [("grpc_method", method)];
    let received = sum_or_zero(registry, "grpc_server_msg_received_total", &labels);
    let sent = sum_or_zero(registry, "grpc_server_msg_sent_total", &labels);
    (received, sent)
}

/// Waits until this many calls have ended and asserts that each was counted once.
///
/// That is: the counters of started and of handled calls and the count of the histogram are `calls`, no call is in
/// progress, and the metrics page is valid. `side` is `server` or `client`.
pub async fn wait_for_calls_to_end(registry: &Registry, side: &str, calls: u64) {
    let of = |family: &str| sum_or_zero(registry, &format!("grpc_{side}_{family}"), &[]);
    let have_ended = || of("handled_total") == calls as f64 && of("in_progress") == 0.0;
    wait_until("all calls have ended", have_ended).await;
    assert_eq!(of("started_total"), calls as f64, "started");
    assert_eq!(of("handled_total"), calls as f64, "handled");
    assert_eq!(of("handling_seconds_count"), calls as f64, "durations");
    assert_eq!(of("in_progress"), 0.0, "in progress");
    page::assert_valid_text(&registry.render());
}
