//! All four kinds of call through a real server: how they end, and how many messages passed.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use tonic::Code;
use tonic::service::LayerExt;
use tower_prometheus::{GrpcMetrics, Registry, grpc::GrpcMetricsLayer};

use crate::shop::{Client, Server, Shop, listen, read, text};
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

async fn drive_all_kinds(server: &Server, gzip: bool) {
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
    let said = stream::iter((0..50).map(|i| text(&"x".repeat(i * 100))));
    let heard = client.chat(said).await.unwrap();
    assert_eq!(read(heard).await, (50, Code::Ok));
}

fn assert_all_kinds(registry: &Registry) {
    let calls = [
        ("Say", "unary", 2.0, (2.0, 2.0)),
        ("Collect", "client_stream", 2.0, (3.0, 2.0)),
        ("List", "server_stream", 1.0, (1.0, 2.0)),
        ("Chat", "bidi_stream", 1.0, (50.0, 50.0)),
    ];
    for (method, kind, calls, passed) in calls {
        assert_eq!(handled_calls(registry, method, "OK"), calls, "{method}");
        assert_eq!(message_counts(registry, method), passed, "{method}");
        let labels = [
            ("grpc_type", kind),
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
async fn all_four_kinds_are_counted_with_their_messages() {
    let registry = Registry::new();
    let server = Server::start(&registry, layer(&registry)).await;
    drive_all_kinds(&server, false).await;
    wait_for_calls_to_end(&registry, "server", 6).await;
    assert_all_kinds(&registry);
}

#[tokio::test]
async fn compressed_messages_are_counted_as_others_are() {
    let registry = Registry::new();
    let shop = Shop { gzip: true };
    let server = Server::start_shop(&registry, layer(&registry), shop).await;
    drive_all_kinds(&server, true).await;
    wait_for_calls_to_end(&registry, "server", 6).await;
    assert_all_kinds(&registry);
}

#[tokio::test]
async fn one_service_alone_can_be_measured() {
    let registry = Registry::new();
    let (incoming, address) = listen().await;
    let serving = tonic::transport::Server::builder()
        .add_service(layer(&registry).named_layer(Shop::default()))
        .serve_with_incoming(incoming);
    let server = Server::run(address, serving);
    drive_all_kinds(&server, false).await;
    wait_for_calls_to_end(&registry, "server", 6).await;
    assert_all_kinds(&registry);
    let mut client = server.connect().await;
    assert_eq!(client.say("fail").await.unwrap_err().code(), Code::NotFound);
    wait_for_calls_to_end(&registry, "server", 7).await;
    assert_eq!(handled_calls(&registry, "Say", "NotFound"), 1.0);
}

#[tokio::test]
async fn errors_are_counted_by_the_code_the_client_sees() {
    let registry = Registry::new();
    let server = Server::start(&registry, layer(&registry)).await;
    let mut client = server.connect().await;
    // In the head of a response without messages, and in trailers after some.
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
async fn a_client_that_leaves_has_canceled() {
    let registry = Registry::new();
    let server = Server::start(&registry, layer(&registry)).await;
    let in_progress = |method| {
        let labels = [("grpc_method", method)];
        sum_or_zero(&registry, "grpc_server_in_progress", &labels)
    };

    // Before the head of the response.
    let mut client = server.connect().await;
    let mut leaving = client.clone();
    let call = tokio::spawn(async move { leaving.say("hang").await });
    wait_until("the call is there", || in_progress("Say") == 1.0).await;
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
async fn a_client_that_dies_has_canceled() {
    let registry = Registry::new();
    let server = Server::start(&registry, layer(&registry)).await;
    let endpoint = server.endpoint();
    // Its runtime ends with its connection, in the middle of a chat.
    let life = tokio::task::spawn_blocking(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async move {
            let mut client = Client::new(endpoint.connect().await.unwrap());
            let said = stream::iter([text("a"), text("b")]).chain(stream::pending());
            let mut heard = client.chat(said).await.unwrap();
            assert_eq!(heard.message().await.unwrap().unwrap().text, "a");
        });
    });
    life.await.unwrap();
    wait_for_calls_to_end(&registry, "server", 1).await;
    // What its code is depends on whether the handler saw the broken request first.
    assert_eq!(handled_calls(&registry, "Chat", "OK"), 0.0);
}

#[tokio::test]
async fn a_call_dropped_when_its_time_is_up_has_exceeded_its_deadline() {
    let registry = Registry::new();
    let server = Server::start(&registry, layer(&registry)).await;
    let mut client = server.connect().await;
    for millis in [20, 100, 300] {
        let timeout = Duration::from_millis(millis);
        client.say_within("hang", timeout).await.unwrap_err();
    }
    // Time enough, which nobody waited for.
    let call = client.say_within("hang", Duration::from_secs(60));
    let in_time = tokio::time::timeout(Duration::from_millis(50), call).await;
    assert!(in_time.is_err());
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
async fn a_panic_is_internal_and_goes_on() {
    let registry = Registry::new();
    let server = Server::start(&registry, layer(&registry)).await;
    // tonic closes the connection on which it happens.
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
async fn scrapes_beside_the_services_are_not_measured() {
    let registry = Registry::new();
    let server = Server::start(&registry, layer(&registry)).await;
    let before = samples(&registry.render()).len();
    let (status, page) = server.page().await;
    assert_eq!(status, 200);
    assert!(page.contains("# HELP grpc_server_handled_total "), "{page}");
    assert_eq!(samples(&registry.render()).len(), before);
    wait_for_calls_to_end(&registry, "server", 0).await;
}
