//! The gauge of open connections: which responses are event streams, and when a connection ends.

use std::pin::pin;

use http::Response;
use http_body_util::BodyExt;
use tower_prometheus::Registry;

use test_support::body::{ScriptedBody, Step};
use test_support::service::measured_response;
use test_support::{aborted_bodies, assert_one_request_completed, assert_requests_ended};

fn event_stream(body: ScriptedBody) -> Response<ScriptedBody> {
    Response::builder()
        .header("content-type", "text/event-stream")
        .body(body)
        .unwrap()
}

#[tokio::test]
async fn event_stream_content_type_is_case_insensitive() {
    let registry = Registry::new();
    let response = Response::builder().header("content-type", "Text/Event-Stream; charset=utf-8");
    let response = measured_response(
        &registry,
        "GET",
        response.body(ScriptedBody::new([Step::Hang])).unwrap(),
    )
    .await;
    assert_eq!(
        registry.sum("http_connections_open", &[("kind", "event-stream")]),
        Some(1.0)
    );
    drop(response);
    assert_one_request_completed(&registry);
}

#[tokio::test]
async fn event_stream_with_a_known_size_or_without_a_body_is_not_an_open_connection() {
    let hang = || ScriptedBody::new([Step::Data("a"), Step::Hang]);
    for (method, code, body) in [
        ("GET", 200, ScriptedBody::full("data: all\n\n")),
        ("HEAD", 200, hang()),
        // 204 makes a browser's `EventSource` stop reconnecting.
        ("GET", 204, hang()),
    ] {
        let registry = Registry::new();
        let mut response = event_stream(body);
        *response.status_mut() = code.try_into().unwrap();
        let response = measured_response(&registry, method, response).await;
        assert_eq!(
            registry.sum("http_connections_open", &[]),
            None,
            "{method} {code}"
        );
        let mut body = pin!(response.into_body());
        body.frame().await;
        assert_one_request_completed(&registry);
    }
}

#[tokio::test]
async fn failed_event_stream_ends_its_open_connection_and_is_an_aborted_body() {
    let registry = Registry::new();
    let response = measured_response(
        &registry,
        "GET",
        event_stream(ScriptedBody::new([Step::Error])),
    )
    .await;
    let mut body = pin!(response.into_body());
    assert!(body.frame().await.unwrap().is_err());
    assert_eq!(registry.sum("http_connections_open", &[]), Some(0.0));
    assert_eq!(aborted_bodies(&registry, "error"), 1.0);
    assert_requests_ended(&registry, 1);
}
