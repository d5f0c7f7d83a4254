//! The layer of a client around tonic's channel.

use std::time::Duration;

use futures_util::stream;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use tower::ServiceBuilder;
use tower_prometheus::grpc::{GrpcMetricsService, GrpcRequestBody, MapRequestBodyService};
use tower_prometheus::{GrpcMetrics, Registry};

use crate::shop::{Client, Server, listen, read, text};
use test_support::grpc::{sum_or_zero, wait_for_calls_to_end, with_shop_methods};
use test_support::wait_until;

/// The transport of a client can be named, to be kept in a struct.
type Boxing = fn(GrpcRequestBody<tonic::body::Body>) -> tonic::body::Body;
type Measured = GrpcMetricsService<MapRequestBodyService<Channel, Boxing>>;

fn measured(registry: &Registry, channel: Channel) -> Client<Measured> {
    let boxing: Boxing = tonic::body::Body::new;
    let layer = with_shop_methods(GrpcMetrics::client())
        .build(registry)
        .unwrap();
    Client::new(layer_of(layer.map_request_body(boxing), channel))
}

fn layer_of<L: tower::Layer<Channel>>(layer: L, channel: Channel) -> L::Service {
    ServiceBuilder::new().layer(layer).service(channel)
}

fn handled(registry: &Registry, method: &str, code: &str) -> f64 {
    let labels = [("grpc_method", method), ("grpc_code", code)];
    sum_or_zero(registry, "grpc_client_handled_total", &labels)
}

/// Messages that a client sent and received.
fn messages(registry: &Registry, method: &str) -> (f64, f64) {
    let labels = [("grpc_method", method)];
    let sent = sum_or_zero(registry, "grpc_client_msg_sent_total", &labels);
    let received = sum_or_zero(registry, "grpc_client_msg_received_total", &labels);
    (sent, received)
}

#[tokio::test]
async fn both_ends_of_all_four_kinds_agree() {
    let registry = Registry::new();
    let server = Server::start(&registry, registry.grpc_layer()).await;
    let channel = server.endpoint().connect().await.unwrap();
    let mut client = measured(&registry, channel);

    client.say("hello").await.unwrap();
    client.collect(&["a", "b", "c"]).await.unwrap();
    assert_eq!(read(client.list("").await.unwrap()).await, (2, Code::Ok));
    let said = stream::iter((0..20).map(|_| text("x")));
    let heard = client.chat(said).await.unwrap();
    assert_eq!(read(heard).await, (20, Code::Ok));
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
        let (other, of) = match family {
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
            sum_or_zero(&registry, other, &[]),
            sum_or_zero(&registry, of, &[])
        );
    }
    let kind = [("grpc_type", "bidi_stream"), ("grpc_method", "Chat")];
    assert_eq!(
        sum_or_zero(&registry, "grpc_client_started_total", &kind),
        1.0
    );
}

#[tokio::test]
async fn with_the_functions_own_type_it_is_one_line() {
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
    // Nothing was declared; the path is the program's own all the same.
    let labels = [("grpc_type", "unknown"), ("grpc_service", "test.Shop")];
    assert_eq!(
        sum_or_zero(&registry, "grpc_client_started_total", &labels),
        1.0
    );
    assert_eq!(handled(&registry, "Say", "Unimplemented"), 1.0);
}

#[tokio::test]
async fn a_refused_connection_is_unavailable() {
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
async fn a_server_that_is_gone_in_the_middle_is_unavailable() {
    let registry = Registry::new();
    // Its connection dies of a panic after two messages.
    let server = Server::start(&registry, registry.grpc_layer()).await;
    let channel = server.endpoint().connect().await.unwrap();
    let mut client = measured(&registry, channel);
    let texts = client.list("panic").await.unwrap();
    assert_ne!(read(texts).await.1, Code::Ok);
    wait_for_calls_to_end(&registry, "client", 1).await;
    assert_eq!(handled(&registry, "List", "Unavailable"), 1.0);
}

#[tokio::test]
async fn a_call_that_is_given_up_is_canceled_or_out_of_time() {
    let registry = Registry::new();
    let server = Server::start(&registry, registry.grpc_layer()).await;
    let channel = server.endpoint().connect().await.unwrap();
    let mut client = measured(&registry, channel);

    let mut leaving = client.clone();
    let call = tokio::spawn(async move { leaving.say("hang").await });
    let in_progress = || sum_or_zero(&registry, "grpc_client_in_progress", &[]) == 1.0;
    wait_until("the call is on its way", in_progress).await;
    call.abort();
    wait_for_calls_to_end(&registry, "client", 1).await;
    assert_eq!(handled(&registry, "Say", "Canceled"), 1.0);

    // The channel keeps the time itself; its error comes when the time is up.
    let late = client.say_within("hang", Duration::from_millis(50)).await;
    late.unwrap_err();
    drop(client.list("hang").await.unwrap());
    wait_for_calls_to_end(&registry, "client", 3).await;
    assert_eq!(handled(&registry, "Say", "DeadlineExceeded"), 1.0);
    assert_eq!(handled(&registry, "List", "Canceled"), 1.0);
}
