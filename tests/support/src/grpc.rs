//! The values of gRPC metrics, and a layer configuration with registered methods.

use tower_prometheus::{GrpcMetrics, Registry, grpc::GrpcType};

use super::{eventually, page};

/// Declares four methods of the service `test.Shop`, one of each type.
pub fn declared(metrics: GrpcMetrics) -> GrpcMetrics {
    metrics
        .method("test.Shop", "Say", GrpcType::Unary)
        .method("test.Shop", "Collect", GrpcType::ClientStream)
        .method("test.Shop", "List", GrpcType::ServerStream)
        .method("test.Shop", "Chat", GrpcType::BidiStream)
}

/// A sum over a family of a server or client; 0 if no series has these labels.
pub fn total(registry: &Registry, family: &str, labels: &[(&str, &str)]) -> f64 {
    registry.sum(family, labels).unwrap_or(0.0)
}

/// How many calls of a server's method ended with that code.
pub fn handled(registry: &Registry, method: &str, code: &str) -> f64 {
    let labels = [("grpc_method", method), ("grpc_code", code)];
    total(registry, "grpc_server_handled_total", &labels)
}

/// Messages that a server received and sent.
pub fn messages(registry: &Registry, method: &str) -> (f64, f64) {
    let labels = [("grpc_method", method)];
    let received = total(registry, "grpc_server_msg_received_total", &labels);
    let sent = total(registry, "grpc_server_msg_sent_total", &labels);
    (received, sent)
}

/// Once all is done: every call was started and handled, its time observed, and none is in progress.
pub async fn settle(registry: &Registry, side: &str, calls: u64) {
    let of = |family: &str| total(registry, &format!("grpc_{side}_{family}"), &[]);
    let is_settled = || of("handled_total") == calls as f64 && of("in_progress") == 0.0;
    eventually("the calls settle", is_settled).await;
    assert_eq!(of("started_total"), calls as f64, "started");
    assert_eq!(of("handled_total"), calls as f64, "handled");
    assert_eq!(of("handling_seconds_count"), calls as f64, "times");
    assert_eq!(of("in_progress"), 0.0, "in progress");
    page::assert_readable(&registry.render());
}
