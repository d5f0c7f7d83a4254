//! All four types of calls to a real server: the code with which they end, and the number of messages.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use tonic::Code;
use tonic::service::LayerExt;
use tower_prometheus::grpc::{GrpcMetric, GrpcMetricsLayer};
use tower_prometheus::http::HttpLabel;
use tower_prometheus::{GrpcMetrics, Registry};

use crate::shop::{Client, Server, Shop, listen, read, text, with_token};
use test_support::grpc::{
    handled_calls, message_counts, sum_or_zero, wait_for_calls_to_end, with_shop_methods,
};
use test_support::page::samples;
use test_support::wait_until;

fn layer(registry: &Registry) -> GrpcMetricsLayer {
    with_shop_methods(GrpcMetrics::server())
        .build(registry)
        .unwrap()
}

async fn call_all_types(server: &Server, gzip: bool) {
    let mut client = server.connect().await;
    if gzip {
        client = client.gzip();
    }
    assert_eq!(client.say("hello").await.unwrap().text, "hello");
    let long = "a long message ".repeat(10_000);
    assert_eq!(client.say(&long).await.unwrap().text, long);
    assert_eq!(client.collect(&["a", "b", "c"]).await.unwrap().text, "abc");
    assert_eq!(client.collect(&[]).await.unwrap().text, "");
    assert_eq!(read(client.list("").await.unwrap()).await, (2, Code::Ok));
    let requests = stream::iter((0..50).map(|i| text(&"x".repeat(i * 100))));
    let responses = client.chat(requests).await.unwrap();
    assert_eq!(read(responses).await, (50, Code::Ok));
}

fn assert_all_types(registry: &Registry) {
    let calls = [
        ("Say", "unary", 2.0, (2.0, 2.0)),
        ("Collect", "client_stream", 2.0, (3.0, 2.0)),
        ("List", "server_stream", 1.0, (1.0, 2.0)),
        ("Chat", "bidi_stream", 1.0, (50.0, 50.0)),
    ];
    for (method, call_type, calls, messages) in calls {
        assert_eq!(handled_calls(registry, method, "OK"), calls, "{method}");
        assert_eq!(message_counts(registry, method), messages, "{method}");
        let labels = [
            ("grpc_type", call_type),
            ("grpc_service", "test.Shop"),
            ("grpc_method", method),
        ];
        for family in ["started_total", "handling_seconds_count"] {
            let counted = sum_or_zero(registry, &format!("grpc_server_{family}"), &labels);
            assert_eq!(counted, calls, "{family} of {method}");
        }
    }
}

#[tokio::test]
async fn all_four_call_types_are_counted_with_their_messages() {
    let registry = Registry::new();
    let server = Server::start(&registry, layer(&registry)).await;
    call_all_types(&server, false).await;
    wait_for_calls_to_end(&registry, "server", 6).await;
    assert_all_types(&registry);
}

#[tokio::test]
async fn compressed_messages_are_counted_like_uncompressed_ones() {
    let registry = Registry::new();
    let shop = Shop { gzip: true };
    let server = Server::start_shop(&registry, layer(&registry), shop).await;
    call_all_types(&server, true).await;
    wait_for_calls_to_end(&registry, "server", 6).await;
    assert_all_types(&registry);
}

/// The size is that of the message on the wire: of its protobuf encoding, or compressed.
#[tokio::test]
async fn sizes_are_those_of_the_messages_on_the_wire() {
    for gzip in [false, true] {
        let registry = Registry::new();
        let metrics = with_shop_methods(GrpcMetrics::server())
            .measure(GrpcMetric::ReceivedMessageSize)
            .measure(GrpcMetric::SentMessageSize);
        let layer = metrics.build(&registry).unwrap();
        let server = Server::start_shop(&registry, layer, Shop { gzip }).await;
        let mut client = server.connect().await;
        if gzip {
            client = client.gzip();
        }
        client.say(&"a long message ".repeat(10_000)).await.unwrap();
        wait_for_calls_to_end(&registry, "server", 1).await;
        for family in ["received", "sent"] {
            let of = |suffix| {
                let name = format!("grpc_server_msg_size_{family}_bytes_{suffix}");
                sum_or_zero(&registry, &name, &[("grpc_method", "Say")])
            };
            assert_eq!(of("count"), 1.0, "{family}");
            // A tag, a length of three bytes, and the text.
            let uncompressed = 1.0 + 3.0 + 150_000.0;
            match gzip {
                false => assert_eq!(of("sum"), uncompressed, "{family}"),
                true => assert!(of("sum") > 0.0 && of("sum") < 15_000.0, "{family}"),
            }
        }
    }
}

#[tokio::test]
async fn custom_label_has_the_value_of_the_metadata() {
    let registry = Registry::new();
    let token = HttpLabel::from_request("token", |request| request.header("authorization"));
    let metrics = with_shop_methods(GrpcMetrics::server()).label(token.max_values(5));
    let server = Server::start(&registry, metrics.build(&registry).unwrap()).await;
    let mut client = server.connect().await;
    let said = client.unary("/test.Shop/Say", with_token(text("fail")));
    said.await.unwrap_err();
    client.say("hello").await.unwrap();
    wait_for_calls_to_end(&registry, "server", 2).await;
    for (token, code) in [("Bearer token", "NotFound"), ("", "OK")] {
        let labels = [("token", token), ("grpc_code", code)];
        assert_eq!(
            sum_or_zero(&registry, "grpc_server_handled_total", &labels),
            1.0
        );
    }
}

#[tokio::test]
async fn layer_can_be_applied_to_a_single_service() {
    let registry = Registry::new();
    let (incoming, address) = listen().await;
    let serving = tonic::transport::Server::builder()
        .add_service(layer(&registry).named_layer(Shop::default()))
        .serve_with_incoming(incoming);
    let server = Server::run(address, serving);
    call_all_types(&server, false).await;
    wait_for_calls_to_end(&registry, "server", 6).await;
    assert_all_types(&registry);
    let mut client = server.connect().await;
    assert_eq!(client.say("fail").await.unwrap_err().code(), Code::NotFound);
    wait_for_calls_to_end(&registry, "server", 7).await;
    assert_eq!(handled_calls(&registry, "Say", "NotFound"), 1.0);
}

#[tokio::test]
async fn errors_are_counted_by_the_code_that_the_client_receives() {
    let registry = Registry::new();
    let server = Server::start(&registry, layer(&registry)).await;
    let mut client = server.connect().await;
    // The code is in the response head if there are no messages, otherwise in the trailers.
    assert_eq!(client.say("fail").await.unwrap_err().code(), Code::NotFound);
    let refused = client.list("refuse").await.unwrap_err().code();
    assert_eq!(refused, Code::PermissionDenied);
    let (received, code) = read(client.list("fail").await.unwrap()).await;
    assert_eq!((received, code), (2, Code::DataLoss));
    let refused = client.say("unimplemented").await.unwrap_err().code();
    assert_eq!(refused, Code::Unimplemented);

    wait_for_calls_to_end(&registry, "server", 4).await;
    assert_eq!(handled_calls(&registry, "Say", "NotFound"), 1.0);
    assert_eq!(handled_calls(&registry, "Say", "Unimplemented"), 1.0);
    assert_eq!(handled_calls(&registry, "List", "PermissionDenied"), 1.0);
    assert_eq!(handled_calls(&registry, "List", "DataLoss"), 1.0);
    assert_eq!(message_counts(&registry, "List"), (2.0, 2.0));
    assert_eq!(message_counts(&registry, "Say"), (2.0, 0.0));
}

#[tokio::test]
async fn call_dropped_by_the_client_is_canceled() {
    let registry = Registry::new();
    let server = Server::start(&registry, layer(&registry)).await;
    let in_progress = |method| {
        let labels = [("grpc_method", method)];
        sum_or_zero(&registry, "grpc_server_in_progress", &labels)
    };

    // Before the head of the response.
    let mut client = server.connect().await;
    let mut caller = client.clone();
    let call = tokio::spawn(async move { caller.say("hang").await });
    wait_until("the call is in progress", || in_progress("Say") == 1.0).await;
    call.abort();
    wait_for_calls_to_end(&registry, "server", 1).await;
    assert_eq!(handled_calls(&registry, "Say", "Canceled"), 1.0);

    // In the middle of a stream.
    let mut texts = client.list("hang").await.unwrap();
    assert_eq!(texts.message().await.unwrap().unwrap().text, "one");
    assert_eq!(in_progress("List"), 1.0);
    drop(texts);
    wait_for_calls_to_end(&registry, "server", 2).await;
    assert_eq!(handled_calls(&registry, "List", "Canceled"), 1.0);
}

#[tokio::test]
async fn call_whose_connection_breaks_ends_once_and_is_not_ok() {
    let registry = Registry::new();
    let server = Server::start(&registry, layer(&registry)).await;
    let endpoint = server.endpoint();
    // The client runs on a runtime that ends during a call, and its connection with it.
    let client_runtime = tokio::task::spawn_blocking(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async move {
            let mut client = Client::new(endpoint.connect().await.unwrap());
            let requests = stream::iter([text("a"), text("b")]).chain(stream::pending());
            let mut responses = client.chat(requests).await.unwrap();
            assert_eq!(responses.message().await.unwrap().unwrap().text, "a");
        });
    });
    client_runtime.await.unwrap();
    wait_for_calls_to_end(&registry, "server", 1).await;
    // The code depends on whether the handler sees the broken request first.
    assert_eq!(handled_calls(&registry, "Chat", "OK"), 0.0);
}

#[tokio::test]
async fn call_dropped_at_its_deadline_is_deadline_exceeded() {
    let registry = Registry::new();
    let server = Server::start(&registry, layer(&registry)).await;
    let mut client = server.connect().await;
    for millis in [20, 100, 300] {
        let timeout = Duration::from_millis(millis);
        client.say_within("hang", timeout).await.unwrap_err();
    }
    // The client drops this call long before its deadline.
    let call = client.say_within("hang", Duration::from_secs(60));
    let timed_out = tokio::time::timeout(Duration::from_millis(50), call).await;
    assert!(timed_out.is_err());
    client
        .say_within("hi", Duration::from_secs(60))
        .await
        .unwrap();

    wait_for_calls_to_end(&registry, "server", 5).await;
    assert_eq!(handled_calls(&registry, "Say", "DeadlineExceeded"), 3.0);
    assert_eq!(handled_calls(&registry, "Say", "Canceled"), 1.0);
    assert_eq!(handled_calls(&registry, "Say", "OK"), 1.0);
}

#[tokio::test]
async fn panic_is_counted_as_internal_and_propagates() {
    let registry = Registry::new();
    let server = Server::start(&registry, layer(&registry)).await;
    // tonic closes the connection on which a handler panics.
    server.connect().await.say("panic").await.unwrap_err();
    let texts = server.connect().await.list("panic").await.unwrap();
    let (_, code) = read(texts).await;
    assert_ne!(code, Code::Ok);
    assert_eq!(
        server.connect().await.say("hello").await.unwrap().text,
        "hello"
    );
    wait_for_calls_to_end(&registry, "server", 3).await;
    assert_eq!(handled_calls(&registry, "Say", "Internal"), 1.0);
    assert_eq!(handled_calls(&registry, "List", "Internal"), 1.0);
}

#[tokio::test]
async fn scrapes_of_the_grpc_server_are_not_measured() {
    let registry = Registry::new();
    let server = Server::start(&registry, layer(&registry)).await;
    let before = samples(&registry.render()).len();
    let (status, page) = server.page().await;
    assert_eq!(status, 200);
    assert!(page.contains("# HELP grpc_server_handled_total "), "{page}");
    assert_eq!(samples(&registry.render()).len(), before);
    wait_for_calls_to_end(&registry, "server", 0).await;
}
