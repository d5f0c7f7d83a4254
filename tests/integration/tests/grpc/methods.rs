//! Methods of a real server that are not preregistered, called in all ways that do and do not prove that they exist.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use proptest::prelude::*;
use tonic::Code;
use tower::{Layer, Service, service_fn};
use tower_prometheus::grpc::GrpcRequestBody;
use tower_prometheus::{GrpcMetrics, Registry, grpc::GrpcMetricsLayer};

use crate::shop::{Server, read, text};
use test_support::grpc::{handled_calls, message_counts, sum_or_zero, wait_for_calls_to_end};
use test_support::page::samples;

fn series(registry: &Registry) -> usize {
    samples(&registry.render()).len()
}

#[tokio::test]
async fn method_is_known_after_its_first_message() {
    let registry = Registry::new();
    let server = Server::start(&registry, registry.grpc_layer()).await;
    let mut client = server.connect().await;
    client.say("hello").await.unwrap();
    // The messages before the response are counted.
    client.collect(&["a", "b", "c"]).await.unwrap();
    wait_for_calls_to_end(&registry, "server", 2).await;
    assert_eq!(handled_calls(&registry, "Say", "OK"), 1.0);
    assert_eq!(message_counts(&registry, "Say"), (1.0, 1.0));
    assert_eq!(message_counts(&registry, "Collect"), (3.0, 1.0));
    let labels = [("grpc_type", "unknown"), ("grpc_method", "Say")];
    assert_eq!(
        sum_or_zero(&registry, "grpc_server_started_total", &labels),
        1.0
    );

    // Once the method is known, even UNIMPLEMENTED is counted for it.
    client.say("unimplemented").await.unwrap_err();
    let chat = client.chat(futures_util::stream::iter([text("a"), text("b")]));
    assert_eq!(read(chat.await.unwrap()).await, (2, Code::Ok));
    wait_for_calls_to_end(&registry, "server", 4).await;
    assert_eq!(handled_calls(&registry, "Say", "Unimplemented"), 1.0);
    assert_eq!(handled_calls(&registry, "unknown", "Unimplemented"), 0.0);
    assert_eq!(message_counts(&registry, "Chat"), (2.0, 2.0));
}

/// The response has two messages and then an error, which is in the trailers.
#[tokio::test]
async fn stream_that_fails_after_a_message_proves_the_method() {
    let registry = Registry::new();
    let server = Server::start(&registry, registry.grpc_layer()).await;
    let texts = server.connect().await.list("fail").await.unwrap();
    assert_eq!(read(texts).await, (2, Code::DataLoss));
    wait_for_calls_to_end(&registry, "server", 1).await;
    assert_eq!(handled_calls(&registry, "List", "DataLoss"), 1.0);
    assert_eq!(message_counts(&registry, "List"), (1.0, 2.0));
}

/// The response has no message, so its code is in the head.
#[tokio::test]
async fn error_without_a_message_does_not_prove_the_method() {
    let registry = Registry::new();
    let server = Server::start(&registry, registry.grpc_layer()).await;
    let mut client = server.connect().await;
    client.say("fail").await.unwrap_err();
    client.list("refuse").await.unwrap_err();
    wait_for_calls_to_end(&registry, "server", 2).await;
    assert_eq!(handled_calls(&registry, "unknown", "NotFound"), 1.0);
    assert_eq!(handled_calls(&registry, "unknown", "PermissionDenied"), 1.0);
    assert_eq!(message_counts(&registry, "unknown"), (2.0, 0.0));
}

#[tokio::test]
async fn stream_is_in_progress_under_its_name_from_its_first_message() {
    let registry = Registry::new();
    let server = Server::start(&registry, registry.grpc_layer()).await;
    let mut texts = server.connect().await.list("hang").await.unwrap();
    texts.message().await.unwrap();
    let labels = [("grpc_method", "List")];
    let in_progress = || sum_or_zero(&registry, "grpc_server_in_progress", &labels);
    assert_eq!(in_progress(), 1.0);
    drop(texts);
    wait_for_calls_to_end(&registry, "server", 1).await;
    assert_eq!(handled_calls(&registry, "List", "Canceled"), 1.0);
}

#[tokio::test]
async fn unimplemented_methods_are_counted_as_unknown() {
    let registry = Registry::new();
    let server = Server::start(&registry, registry.grpc_layer()).await;
    let mut client = server.connect().await;
    // An unknown method, an unknown service, and paths that are no gRPC methods.
    for path in ["/test.Shop/Rob", "/test.Bank/Rob", "/robots.txt", "/"] {
        let request = tonic::Request::new(text("please"));
        let code = client.unary(path, request).await.unwrap_err().code();
        assert_eq!(code, Code::Unimplemented, "{path}");
    }
    wait_for_calls_to_end(&registry, "server", 4).await;
    assert_eq!(handled_calls(&registry, "unknown", "Unimplemented"), 4.0);
    let labels = [
        ("grpc_type", "unknown"),
        ("grpc_service", "unknown"),
        ("grpc_method", "unknown"),
    ];
    assert_eq!(
        sum_or_zero(&registry, "grpc_server_started_total", &labels),
        4.0
    );
}

#[tokio::test]
async fn calls_without_a_response_do_not_prove_the_method() {
    let registry = Registry::new();
    let server = Server::start(&registry, registry.grpc_layer()).await;
    server.connect().await.say("panic").await.unwrap_err();
    let timeout = Duration::from_millis(50);
    let late = server.connect().await.say_within("hang", timeout).await;
    late.unwrap_err();
    wait_for_calls_to_end(&registry, "server", 2).await;
    assert_eq!(handled_calls(&registry, "unknown", "Internal"), 1.0);
    assert_eq!(handled_calls(&registry, "unknown", "DeadlineExceeded"), 1.0);
    assert_eq!(message_counts(&registry, "unknown"), (2.0, 0.0));

    // After its first message, the method is known, and later calls are counted for it.
    server.connect().await.say("hello").await.unwrap();
    server.connect().await.say("panic").await.unwrap_err();
    wait_for_calls_to_end(&registry, "server", 4).await;
    assert_eq!(handled_calls(&registry, "Say", "OK"), 1.0);
    assert_eq!(handled_calls(&registry, "Say", "Internal"), 1.0);
}

/// Sends a call for each path to a service that answers every path with the same status.
async fn call_each(layer: GrpcMetricsLayer, paths: &[String], content_type: &str, status: &str) {
    let answer = |_: Request<GrpcRequestBody<Full<Bytes>>>| {
        let response = Response::builder()
            .header("content-type", content_type)
            .header("grpc-status", status)
            .body(Empty::<Bytes>::new());
        std::future::ready(Ok::<_, Infallible>(response.unwrap()))
    };
    let mut service = layer.layer(service_fn(answer));
    for path in paths {
        let request = Request::post(path.as_str())
            .header("content-type", "application/grpc")
            .body(Full::default());
        let response = service.call(request.unwrap()).await.unwrap();
        response.into_body().collect().await.unwrap();
    }
}

#[tokio::test]
async fn scanner_adds_only_the_series_of_unknown() {
    let registry = Registry::new();
    let server = Server::start(&registry, registry.grpc_layer()).await;
    let mut client = server.connect().await;
    let mut after_one = 0;
    for i in 0..2000 {
        // tonic's client takes only `&'static str` paths.
        let path: &'static str = Box::leak(format!("/scan{}.Service/Method{i}", i % 7).into());
        let request = tonic::Request::new(text(""));
        client.unary(path, request).await.unwrap_err();
        if i == 0 {
            wait_for_calls_to_end(&registry, "server", 1).await;
            after_one = series(&registry);
        }
    }
    wait_for_calls_to_end(&registry, "server", 2000).await;
    assert_eq!(series(&registry), after_one);
    assert_eq!(handled_calls(&registry, "unknown", "Unimplemented"), 2000.0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, failure_persistence: None, ..ProptestConfig::default() })]

    /// Random paths, with a random status: the number of series stays within `max_methods`.
    #[test]
    fn random_paths_stay_within_the_limit_of_methods(
        paths in prop::collection::vec("/[!-~&&[^#?]]{0,12}(/[!-~&&[^#?]]{0,12})?", 50..200),
        status in prop::sample::select(&["0", "5", "12", "16", "x"][..]),
    ) {
        let registry = Registry::new();
        let layer = GrpcMetrics::server().max_methods(5).build(&registry).unwrap();
        // Servers refuse a path that is not a valid URI before it reaches a layer.
        let paths: Vec<_> = paths.into_iter().filter(|path| path.parse::<http::Uri>().is_ok()).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            call_each(layer, &paths, "application/grpc", status).await;
            wait_for_calls_to_end(&registry, "server", paths.len() as u64).await;
        });
        // Five methods, `unknown` and `overflow`. Each has 11 buckets, `+Inf`, sum, count and five other series.
        prop_assert!(series(&registry) <= 7 * 19 + 1);
    }
}
