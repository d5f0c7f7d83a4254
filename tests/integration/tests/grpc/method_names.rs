//! The labels of a call by its method: one test for each row of the tables in the documentation of the module `grpc`.
//!
//! The service has an interceptor, which rejects calls without a token before the service sees them.

use tonic::Code;
use tonic::transport::Channel;
use tower_prometheus::{GrpcMetrics, Registry, grpc::GrpcType};

use crate::clients::{Measured, measured_by};
use crate::shop::{Client, Server, read, text, with_token};
use test_support::grpc::{handled_calls, sum_or_zero, wait_for_calls_to_end, with_shop_methods};
use test_support::page::samples;
use test_support::wait_until;

const SAY: &str = "/test.Shop/Say";

async fn say_without_token(client: &mut Client<Channel>, path: &'static str) {
    let request = tonic::Request::new(text("hello"));
    let code = client.unary(path, request).await.unwrap_err().code();
    assert_eq!(code, Code::Unauthenticated);
}

async fn say_with_token(client: &mut Client<Channel>, what: &str) -> Code {
    let said = client.unary(SAY, with_token(text(what))).await;
    said.err().map_or(Code::Ok, |status| status.code())
}

fn series(registry: &Registry) -> usize {
    samples(&registry.render()).len()
}

/// A path of the service, which the interceptor and not the router answers. tonic's client takes only `&'static str`.
fn invented(i: usize) -> &'static str {
    Box::leak(format!("/test.Shop/Invented{i}").into())
}

#[tokio::test]
async fn preregistered_method_has_its_name_without_a_token() {
    let registry = Registry::new();
    let metrics = with_shop_methods(GrpcMetrics::server()).max_methods(0);
    let server = Server::start_with_auth(&registry, metrics.build(&registry).unwrap()).await;
    let before = series(&registry);
    say_without_token(&mut server.connect().await, SAY).await;
    wait_for_calls_to_end(&registry, "server", 1).await;
    assert_eq!(handled_calls(&registry, "Say", "Unauthenticated"), 1.0);
    assert_eq!(series(&registry), before);
}

#[tokio::test]
async fn method_known_from_an_earlier_call_has_its_name_whatever_the_code() {
    let registry = Registry::new();
    let server = Server::start_with_auth(&registry, registry.grpc_layer()).await;
    let mut client = server.connect().await;
    say_without_token(&mut client, SAY).await;
    assert_eq!(say_with_token(&mut client, "hello").await, Code::Ok);
    say_without_token(&mut client, SAY).await;
    assert_eq!(say_with_token(&mut client, "fail").await, Code::NotFound);
    wait_for_calls_to_end(&registry, "server", 4).await;
    assert_eq!(handled_calls(&registry, "unknown", "Unauthenticated"), 1.0);
    assert_eq!(handled_calls(&registry, "Say", "OK"), 1.0);
    assert_eq!(handled_calls(&registry, "Say", "Unauthenticated"), 1.0);
    assert_eq!(handled_calls(&registry, "Say", "NotFound"), 1.0);
}

#[tokio::test]
async fn malformed_path_is_unknown() {
    let registry = Registry::new();
    let server = Server::start_with_auth(&registry, registry.grpc_layer()).await;
    let mut client = server.connect().await;
    let long = Box::leak(format!("/test.Shop/{}", "x".repeat(300)).into_boxed_str());
    for path in ["/robots.txt", "/", long] {
        let request = with_token(text("hello"));
        client.unary(path, request).await.unwrap_err();
    }
    wait_for_calls_to_end(&registry, "server", 3).await;
    assert_eq!(handled_calls(&registry, "unknown", "Unimplemented"), 3.0);
}

#[tokio::test]
async fn new_method_gets_its_name_from_a_message_also_if_the_call_then_fails() {
    let registry = Registry::new();
    let server = Server::start_with_auth(&registry, registry.grpc_layer()).await;
    let mut client = server.connect().await;
    assert_eq!(say_with_token(&mut client, "hello").await, Code::Ok);
    let texts = client.list_with(with_token(text("fail"))).await.unwrap();
    assert_eq!(read(texts).await, (2, Code::DataLoss));
    wait_for_calls_to_end(&registry, "server", 2).await;
    assert_eq!(handled_calls(&registry, "Say", "OK"), 1.0);
    assert_eq!(handled_calls(&registry, "List", "DataLoss"), 1.0);
}

/// More names than `max_methods`. The real method is still counted under its name afterwards.
#[tokio::test]
async fn invented_methods_without_a_token_are_unknown_and_use_up_no_limit() {
    let registry = Registry::new();
    let server = Server::start_with_auth(&registry, registry.grpc_layer()).await;
    let mut client = server.connect().await;
    say_without_token(&mut client, invented(0)).await;
    wait_for_calls_to_end(&registry, "server", 1).await;
    let after_one = series(&registry);
    for i in 1..1100 {
        say_without_token(&mut client, invented(i)).await;
    }
    wait_for_calls_to_end(&registry, "server", 1100).await;
    assert_eq!(
        handled_calls(&registry, "unknown", "Unauthenticated"),
        1100.0
    );
    assert_eq!(series(&registry), after_one);

    assert_eq!(say_with_token(&mut client, "hello").await, Code::Ok);
    wait_for_calls_to_end(&registry, "server", 1101).await;
    assert_eq!(handled_calls(&registry, "Say", "OK"), 1.0);
    assert_eq!(handled_calls(&registry, "overflow", "OK"), 0.0);
}

#[tokio::test]
async fn new_method_beyond_max_methods_is_overflow_only_if_it_exists() {
    let registry = Registry::new();
    let metrics = GrpcMetrics::server().max_methods(1);
    let server = Server::start_with_auth(&registry, metrics.build(&registry).unwrap()).await;
    let mut client = server.connect().await;
    assert_eq!(say_with_token(&mut client, "hello").await, Code::Ok);
    let texts = client.list_with(with_token(text(""))).await.unwrap();
    assert_eq!(read(texts).await, (2, Code::Ok));
    say_without_token(&mut client, invented(0)).await;
    wait_for_calls_to_end(&registry, "server", 3).await;
    assert_eq!(handled_calls(&registry, "Say", "OK"), 1.0);
    assert_eq!(handled_calls(&registry, "overflow", "OK"), 1.0);
    assert_eq!(handled_calls(&registry, "unknown", "Unauthenticated"), 1.0);
    let overflowed = registry.sum("metrics_label_overflow_total", &[]);
    assert_eq!(overflowed, Some(1.0));
}

/// A server, a measured client of it, and the registry of the client.
async fn start_client(metrics: GrpcMetrics) -> (Server, Client<Measured>, Registry) {
    let (servers, registry) = (Registry::new(), Registry::new());
    let server = Server::start_with_auth(&servers, servers.grpc_layer()).await;
    let channel = server.endpoint().connect().await.unwrap();
    let client = measured_by(metrics, &registry, channel);
    (server, client, registry)
}

fn client_calls(registry: &Registry, method: &str, code: &str) -> f64 {
    let labels = [("grpc_method", method), ("grpc_code", code)];
    sum_or_zero(registry, "grpc_client_handled_total", &labels)
}

#[tokio::test]
async fn preregistered_method_of_a_client_has_its_name() {
    let metrics = GrpcMetrics::client().max_methods(0);
    let metrics = metrics.method("test.Shop", "Say", GrpcType::Unary);
    let (_server, mut client, registry) = start_client(metrics).await;
    client.say("hello").await.unwrap_err();
    wait_for_calls_to_end(&registry, "client", 1).await;
    assert_eq!(client_calls(&registry, "Say", "Unauthenticated"), 1.0);
}

#[tokio::test]
async fn new_method_of_a_client_has_its_name_whatever_the_response() {
    let (_server, mut client, registry) = start_client(GrpcMetrics::client()).await;
    client.say("hello").await.unwrap_err();
    let other = client.unary("/test.Bank/Rob", tonic::Request::new(text("")));
    other.await.unwrap_err();
    wait_for_calls_to_end(&registry, "client", 2).await;
    assert_eq!(client_calls(&registry, "Say", "Unauthenticated"), 1.0);
    assert_eq!(client_calls(&registry, "Rob", "Unimplemented"), 1.0);
}

#[tokio::test]
async fn malformed_path_of_a_client_is_unknown() {
    let (_server, mut client, registry) = start_client(GrpcMetrics::client()).await;
    let malformed = client.unary("/robots.txt", with_token(text("")));
    malformed.await.unwrap_err();
    wait_for_calls_to_end(&registry, "client", 1).await;
    assert_eq!(client_calls(&registry, "unknown", "Unimplemented"), 1.0);
}

#[tokio::test]
async fn method_of_a_client_beyond_max_methods_is_overflow_from_its_start() {
    let metrics = GrpcMetrics::client().max_methods(1);
    let (_server, mut client, registry) = start_client(metrics).await;
    let collected = client.unary("/test.Shop/Collect", with_token(text("a")));
    collected.await.unwrap();
    let mut caller = client.clone();
    let call = tokio::spawn(async move { caller.unary(SAY, with_token(text("hang"))).await });
    let labels = [("grpc_method", "overflow")];
    let in_progress = || sum_or_zero(&registry, "grpc_client_in_progress", &labels) == 1.0;
    wait_until("the call is in progress as overflow", in_progress).await;
    call.abort();
    wait_for_calls_to_end(&registry, "client", 2).await;
    assert_eq!(client_calls(&registry, "Collect", "OK"), 1.0);
    assert_eq!(client_calls(&registry, "overflow", "Canceled"), 1.0);
}
