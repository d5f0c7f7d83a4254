//! The client layer, applied to tonic's channel.

use std::time::Duration;

use futures_util::stream;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use tower::ServiceBuilder;
use tower_prometheus::grpc::{GrpcMetricsService, MapRequestBodyService};
use tower_prometheus::{GrpcMetrics, Registry};

use crate::shop::{Client, Server, listen, read, text};
use test_support::grpc::{sum_or_zero, wait_for_calls_to_end, with_shop_methods};
use test_support::wait_until;

/// The type of the transport can be written out, for example for a field of a struct.
pub(crate) type Measured = GrpcMetricsService<MapRequestBodyService<Channel, tonic::body::Body>>;

fn measured(registry: &Registry, channel: Channel) -> Client<Measured> {
    measured_by(with_shop_methods(GrpcMetrics::client()), registry, channel)
}

pub(crate) fn measured_by(
    metrics: GrpcMetrics,
    registry: &Registry,
    channel: Channel,
) -> Client<Measured> {
    let layer = metrics.build(registry).unwrap();
    Client::new(apply(
        layer.map_request_body(tonic::body::Body::new),
        channel,
    ))
}

fn apply<L: tower::Layer<Channel>>(layer: L, channel: Channel) -> L::Service {
    ServiceBuilder::new().layer(layer).service(channel)
}

fn handled(registry: &Registry, method: &str, code: &str) -> f64 {
    let labels = [("grpc_method", method), ("grpc_code", code)];
    sum_or_zero(registry, "grpc_client_handled_total", &labels)
}

/// Returns the numbers of messages that a client sent and received.
fn messages(registry: &Registry, method: &str) -> (f64, f64) {
    let labels = [("grpc_method", method)];
    let sent = sum_or_zero(registry, "grpc_client_msg_sent_total", &labels);
    let received = sum_or_zero(registry, "grpc_client_msg_received_total", &labels);
    (sent, received)
}

#[tokio::test]
async fn client_and_server_count_the_same_calls_and_messages() {
    let registry = Registry::new();
    let server = Server::start(&registry, registry.grpc_layer()).await;
    let channel = server.endpoint().connect().await.unwrap();
    let mut client = measured(&registry, channel);

    client.say("hello").await.unwrap();
    client.collect(&["a", "b", "c"]).await.unwrap();
    assert_eq!(read(client.list("").await.unwrap()).await, (2, Code::Ok));
    let requests = stream::iter((0..20).map(|_| text("x")));
    let responses = client.chat(requests).await.unwrap();
    assert_eq!(read(responses).await, (20, Code::Ok));
    assert_eq!(client.say("fail").await.unwrap_err().code(), Code::NotFound);
    let lost = read(client.list("fail").await.unwrap()).await;
    assert_eq!(lost, (2, Code::DataLoss));

    wait_for_calls_to_end(&registry, "client", 6).await;
    wait_for_calls_to_end(&registry, "server", 6).await;
    for method in ["Say", "Collect", "List", "Chat"] {
        assert_eq!(handled(&registry, method, "OK"), 1.0, "{method}");
    }
    assert_eq!(handled(&registry, "Say", "NotFound"), 1.0);
    assert_eq!(handled(&registry, "List", "DataLoss"), 1.0);
    assert_eq!(messages(&registry, "Say"), (2.0, 1.0));
    assert_eq!(messages(&registry, "Collect"), (3.0, 1.0));
    assert_eq!(messages(&registry, "List"), (2.0, 4.0));
    assert_eq!(messages(&registry, "Chat"), (20.0, 20.0));
    for family in ["msg_sent_total", "msg_received_total"] {
        let (server, client) = match family {
            "msg_sent_total" => (
                "grpc_server_msg_received_total",
                "grpc_client_msg_sent_total",
            ),
            _ => (
                "grpc_server_msg_sent_total",
                "grpc_client_msg_received_total",
            ),
        };
        assert_eq!(
            sum_or_zero(&registry, server, &[]),
            sum_or_zero(&registry, client, &[])
        );
    }
    let kind = [("grpc_type", "bidi_stream"), ("grpc_method", "Chat")];
    assert_eq!(
        sum_or_zero(&registry, "grpc_client_started_total", &kind),
        1.0
    );
}

#[tokio::test]
async fn undeclared_method_of_a_client_is_exported_with_type_unknown() {
    let registry = Registry::new();
    let server = Server::start(&registry, registry.grpc_layer()).await;
    let channel = server.endpoint().connect().await.unwrap();
    let transport = ServiceBuilder::new()
        .layer(
            registry
                .grpc_client_layer()
                .map_request_body(tonic::body::Body::new),
        )
        .service(channel);
    Client::new(transport)
        .gzip()
        .say("hello")
        .await
        .unwrap_err();
    wait_for_calls_to_end(&registry, "client", 1).await;
    // No method is declared, but a client's paths come from its own program, so they become labels.
    let labels = [("grpc_type", "unknown"), ("grpc_service", "test.Shop")];
    assert_eq!(
        sum_or_zero(&registry, "grpc_client_started_total", &labels),
        1.0
    );
    assert_eq!(handled(&registry, "Say", "Unimplemented"), 1.0);
}

#[tokio::test]
async fn refused_connection_is_unavailable() {
    let registry = Registry::new();
    let (incoming, address) = listen().await;
    drop(incoming);
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let mut client = measured(&registry, endpoint.connect_lazy());
    for _ in 0..3 {
        assert_eq!(
            client.say("hi").await.unwrap_err().code(),
            Code::Unavailable
        );
    }
    wait_for_calls_to_end(&registry, "client", 3).await;
    assert_eq!(handled(&registry, "Say", "Unavailable"), 3.0);
}

#[tokio::test]
async fn connection_that_breaks_during_a_stream_is_unavailable() {
    let registry = Registry::new();
    // After two messages, the handler panics and the connection closes.
    let server = Server::start(&registry, registry.grpc_layer()).await;
    let channel = server.endpoint().connect().await.unwrap();
    let mut client = measured(&registry, channel);
    let texts = client.list("panic").await.unwrap();
    assert_ne!(read(texts).await.1, Code::Ok);
    wait_for_calls_to_end(&registry, "client", 1).await;
    assert_eq!(handled(&registry, "List", "Unavailable"), 1.0);
}

#[tokio::test]
async fn dropped_call_is_canceled_and_timed_out_call_is_deadline_exceeded() {
    let registry = Registry::new();
    let server = Server::start(&registry, registry.grpc_layer()).await;
    let channel = server.endpoint().connect().await.unwrap();
    let mut client = measured(&registry, channel);

    let mut caller = client.clone();
    let call = tokio::spawn(async move { caller.say("hang").await });
    let in_progress = || sum_or_zero(&registry, "grpc_client_in_progress", &[]) == 1.0;
    wait_until("the call is in progress", in_progress).await;
    call.abort();
    wait_for_calls_to_end(&registry, "client", 1).await;
    assert_eq!(handled(&registry, "Say", "Canceled"), 1.0);

    // The channel enforces the timeout itself: its error arrives at the deadline.
    let late = client.say_within("hang", Duration::from_millis(50)).await;
    late.unwrap_err();
    drop(client.list("hang").await.unwrap());
    wait_for_calls_to_end(&registry, "client", 3).await;
    assert_eq!(handled(&registry, "Say", "DeadlineExceeded"), 1.0);
    assert_eq!(handled(&registry, "List", "Canceled"), 1.0);
}
