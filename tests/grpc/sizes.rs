//! Sizes of messages.

use std::convert::Infallible;

use bytes::{BufMut, Bytes, BytesMut};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service, service_fn};
use tower_prometheus::grpc::{GrpcMetric, GrpcRequestBody};
use tower_prometheus::{GrpcMetrics, Registry};

use test_support::grpc::wait_for_calls_to_end;
use test_support::page::samples;

fn framed(sizes: &[usize]) -> Bytes {
    let mut body = BytesMut::new();
    for size in sizes {
        body.put_u8(0);
        body.put_u32(*size as u32);
        body.put_bytes(b'x', *size);
    }
    body.freeze()
}

/// Calls a new method twice with request messages of these sizes. The service reads them, and responds with messages of
/// these sizes.
async fn call_twice(metrics: GrpcMetrics, registry: &Registry, received: &[usize], sent: &[usize]) {
    let (received, sent) = (framed(received), framed(sent));
    let respond = |request: Request<GrpcRequestBody<Full<Bytes>>>| {
        let sent = sent.clone();
        async move {
            request.into_body().collect().await.unwrap();
            let response = Response::builder().header("content-type", "application/grpc");
            Ok::<_, Infallible>(response.body(Full::new(sent)).unwrap())
        }
    };
    let mut service = metrics.build(registry).unwrap().layer(service_fn(respond));
    for _ in 0..2 {
        let request = Request::post("/my.Own/Method").header("content-type", "application/grpc");
        let request = request.body(Full::new(received.clone())).unwrap();
        let body = service.call(request).await.unwrap().into_body();
        body.collect().await.unwrap();
    }
}

fn with_sizes(metrics: GrpcMetrics) -> GrpcMetrics {
    let metrics = metrics.measure(GrpcMetric::ReceivedMessageSize);
    metrics.measure(GrpcMetric::SentMessageSize)
}

/// Number and sum of the sizes.
fn sizes(registry: &Registry, family: &str) -> (Option<f64>, Option<f64>) {
    let labels = [("grpc_method", "Method")];
    let of = |suffix| registry.sum(&format!("{family}_{suffix}"), &labels);
    (of("count"), of("sum"))
}

#[tokio::test]
async fn sizes_are_off_by_default() {
    let registry = Registry::new();
    call_twice(GrpcMetrics::server(), &registry, &[1], &[2]).await;
    assert!(!registry.render().contains("_bytes"));
}

/// Also those of the first call, whose request messages pass before the method is known.
#[tokio::test]
async fn size_of_every_message_is_recorded_without_the_five_bytes_before_it() {
    let registry = Registry::new();
    let metrics = with_sizes(GrpcMetrics::server());
    call_twice(metrics, &registry, &[0, 10, 300], &[7, 100_000]).await;
    wait_for_calls_to_end(&registry, "server", 2).await;
    let received = sizes(&registry, "grpc_server_msg_size_received_bytes");
    assert_eq!(received, (Some(6.0), Some(620.0)));
    let sent = sizes(&registry, "grpc_server_msg_size_sent_bytes");
    assert_eq!(sent, (Some(4.0), Some(200_014.0)));
}

#[tokio::test]
async fn client_sends_requests_and_receives_responses() {
    let registry = Registry::new();
    let metrics = with_sizes(GrpcMetrics::client());
    call_twice(metrics, &registry, &[10], &[20]).await;
    let sent = sizes(&registry, "grpc_client_msg_size_sent_bytes");
    assert_eq!(sent, (Some(2.0), Some(20.0)));
    let received = sizes(&registry, "grpc_client_msg_size_received_bytes");
    assert_eq!(received, (Some(2.0), Some(40.0)));
}

#[tokio::test]
async fn size_buckets_are_powers_of_4_or_those_of_the_layer() {
    let buckets = async |metrics: GrpcMetrics| {
        let registry = Registry::new();
        call_twice(with_sizes(metrics), &registry, &[60], &[1]).await;
        let page = samples(&registry.render());
        let names = page
            .keys()
            .filter(|name| name.starts_with("grpc_server_msg_size_sent_bytes_bucket"));
        let mut bounds: Vec<_> = names
            .filter_map(|name| {
                name.split("le=\"")
                    .nth(1)?
                    .split('"')
                    .next()?
                    .parse::<f64>()
                    .ok()
            })
            .collect();
        bounds.sort_by(f64::total_cmp);
        bounds
    };
    let powers = (2..=12).map(|power| 4_f64.powi(power));
    let default: Vec<_> = powers.chain([f64::INFINITY]).collect();
    assert_eq!(buckets(GrpcMetrics::server()).await, default);
    let own = GrpcMetrics::server().message_size_buckets([100.0, 1000.0]);
    assert_eq!(buckets(own).await, [100.0, 1000.0, f64::INFINITY]);
    let invalid = GrpcMetrics::server().message_size_buckets([2.0, 1.0]);
    let error = invalid.build(Registry::new()).unwrap_err().to_string();
    assert!(error.contains("message_size_buckets"), "{error}");
}

/// Clients choose how many messages they send, so the sizes of a call to a new method need a limit. Every message is
/// counted.
#[tokio::test]
async fn at_most_1024_sizes_are_kept_before_the_method_is_known() {
    let registry = Registry::new();
    let metrics = with_sizes(GrpcMetrics::server());
    call_twice(metrics, &registry, &[1; 2000], &[1]).await;
    wait_for_calls_to_end(&registry, "server", 2).await;
    let received = sizes(&registry, "grpc_server_msg_size_received_bytes");
    assert_eq!(received.0, Some(1024.0 + 2000.0));
    let counted = registry.sum("grpc_server_msg_received_total", &[]);
    assert_eq!(counted, Some(4000.0));
}
