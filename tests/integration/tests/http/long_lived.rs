//! Long-lived connections: the request ends at the response head, and a gauge counts the open connections.

use std::future::ready;
use std::pin::pin;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::WebSocketUpgrade;
use axum::response::sse::{Event, Sse};
use axum::response::{Extension, IntoResponse};
use axum::routing::get;
use futures_util::{StreamExt, stream};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use tokio::sync::oneshot;
use tower::{Layer, ServiceExt, service_fn};
use tower_prometheus::{Registry, http::LongLived};

use test_support::body::{ScriptedBody, Step};
use test_support::server::{BOTH_PROTOCOLS, Protocol, Server};
use test_support::{
    aborted_bodies, assert_requests_ended, requests_with_status, wait_for_requests_to_end,
    wait_until,
};

fn open(registry: &Registry, kind: &str) -> f64 {
    let open = registry.sum("http_connections_open", &[("kind", kind)]);
    open.unwrap_or(0.0)
}

/// Sends a request that is answered with `response`, and asserts that the request ends at the response head.
async fn respond(
    registry: &Registry,
    method: &str,
    response: Response<ScriptedBody>,
) -> Response<impl http_body::Body> {
    let status = response.status();
    let mut response = Some(response);
    let service = service_fn(move |_: Request<()>| ready(Ok::<_, ()>(response.take().unwrap())));
    let service = registry.http_layer().layer(service);
    let request = Request::builder().method(method).body(()).unwrap();
    let response = service.oneshot(request).await.unwrap();
    assert_eq!(requests_with_status(registry, status.as_str()), 1.0);
    assert_eq!(registry.sum("http_requests_in_progress", &[]), Some(0.0));
    assert_eq!(
        registry.sum("http_request_duration_seconds_count", &[]),
        Some(1.0)
    );
    response
}

#[tokio::test]
async fn event_streams_and_marked_responses_are_open_until_their_body_is_dropped() {
    let hang = || ScriptedBody::new([Step::Data("a"), Step::Hang]);
    let events = Response::builder().header("content-type", "text/event-stream; charset=utf-8");
    let marked = Response::builder().extension(LongLived::new("download"));
    for (kind, response) in [
        ("event-stream", events.body(hang()).unwrap()),
        ("download", marked.body(hang()).unwrap()),
    ] {
        let registry = Registry::new();
        let response = respond(&registry, "GET", response).await;
        assert_eq!(open(&registry, kind), 1.0, "{kind}");
        let mut body = Box::pin(response.into_body());
        body.frame().await;
        assert_eq!(open(&registry, kind), 1.0, "{kind}");
        drop(body);
        assert_eq!(open(&registry, kind), 0.0, "{kind}");
        // The end of a long-lived connection is not an aborted body.
        assert_eq!(aborted_bodies(&registry, "dropped"), 0.0);
        assert_requests_ended(&registry, 1);
    }
}

#[tokio::test]
async fn connection_is_closed_when_its_body_ends() {
    let registry = Registry::new();
    let response = Response::builder().header("content-type", "text/event-stream");
    let response = response.body(ScriptedBody::stream(&["a"])).unwrap();
    let mut body = pin!(respond(&registry, "GET", response).await.into_body());
    while body.frame().await.is_some() {}
    assert_eq!(open(&registry, "event-stream"), 0.0);
    assert_requests_ended(&registry, 1);
}

#[tokio::test]
async fn upgrade_ends_at_the_response_head() {
    let registry = Registry::new();
    let upgrade = Response::builder()
        .status(101)
        .body(ScriptedBody::full(""))
        .unwrap();
    drop(respond(&registry, "GET", upgrade).await);
    assert_requests_ended(&registry, 1);
}

#[tokio::test]
async fn tunnel_without_a_guard_ends_at_the_response_head_and_has_no_series_of_connections() {
    let registry = Registry::new();
    let hang = ScriptedBody::new([Step::Data("a"), Step::Hang]);
    let response = respond(&registry, "CONNECT", Response::new(hang)).await;
    assert_eq!(registry.sum("http_connections_open", &[]), None);
    drop(response);
    assert_eq!(aborted_bodies(&registry, "dropped"), 0.0);
    assert_eq!(registry.sum("http_connections_open", &[]), None);
    assert_requests_ended(&registry, 1);
}

#[tokio::test]
async fn refused_tunnel_is_an_ordinary_request() {
    let registry = Registry::new();
    let refused = Response::builder()
        .status(403)
        .body(ScriptedBody::full(""))
        .unwrap();
    drop(respond(&registry, "CONNECT", refused).await);
    assert_eq!(registry.sum("http_connections_open", &[]), None);
    assert_requests_ended(&registry, 1);
}

#[tokio::test]
async fn guard_dropped_before_the_response_head_opens_no_connection() {
    let registry = Registry::new();
    let (mark, guard) = LongLived::guarded("websocket");
    drop(guard);
    let upgrade = Response::builder().status(101).extension(mark);
    let _response = respond(
        &registry,
        "GET",
        upgrade.body(ScriptedBody::full("")).unwrap(),
    )
    .await;
    assert_eq!(open(&registry, "websocket"), 0.0);
    assert_requests_ended(&registry, 1);
}

#[tokio::test]
async fn connection_of_a_guard_is_counted_by_every_layer() {
    let (outer, inner) = (Registry::new(), Registry::new());
    let (mark, guard) = LongLived::guarded("websocket");
    let upgrade = Response::builder().status(101).extension(mark);
    let mut upgrade = Some(upgrade.body(ScriptedBody::full("")).unwrap());
    let service = service_fn(move |_: Request<()>| ready(Ok::<_, ()>(upgrade.take().unwrap())));
    let service = outer.http_layer().layer(inner.http_layer().layer(service));
    let _response = service.oneshot(Request::new(())).await;
    for registry in [&outer, &inner] {
        assert_eq!(open(registry, "websocket"), 1.0);
    }
    drop(guard);
    for registry in [&outer, &inner] {
        assert_requests_ended(registry, 1);
    }
}

#[tokio::test]
async fn websocket_is_open_until_its_session_ends() {
    let registry = Registry::new();
    let (close, closed) = oneshot::channel::<()>();
    let closed = Arc::new(Mutex::new(Some(closed)));
    let chat = async move |upgrade: WebSocketUpgrade| {
        let (mark, guard) = LongLived::guarded("websocket");
        let closed = closed.lock().unwrap().take().unwrap();
        let session = upgrade.on_upgrade(async move |_socket| {
            let _open = guard;
            let _ = closed.await;
        });
        (Extension(mark), session).into_response()
    };
    let app = Router::new()
        .route("/chat", get(chat))
        .layer(registry.http_layer());
    let server = Server::start(app).await;
    let mut client = server.connect(Protocol::Http1).await;
    let request = Request::get("/chat")
        .header("host", "localhost")
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    let response = client
        .send_request(request.body(Empty::new()).unwrap())
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    let _socket = hyper::upgrade::on(response).await.unwrap();
    assert_eq!(open(&registry, "websocket"), 1.0);
    assert_eq!(registry.sum("http_requests_in_progress", &[]), Some(0.0));
    close.send(()).unwrap();
    wait_for_requests_to_end(&registry, 1).await;
    assert_eq!(requests_with_status(&registry, "101"), 1.0);
}

#[tokio::test]
async fn server_sent_events_are_open_until_the_client_disconnects() {
    for protocol in BOTH_PROTOCOLS {
        let registry = Registry::new();
        let events = async || {
            let first = stream::iter([Ok::<_, std::convert::Infallible>(
                Event::default().data("hi"),
            )]);
            Sse::new(first.chain(stream::pending()))
        };
        let app = Router::new()
            .route("/events", get(events))
            .layer(registry.http_layer());
        let server = Server::start(app).await;
        let mut client = server.connect(protocol).await;
        let mut body = client.send("GET", "/events").await.unwrap().into_body();
        body.frame().await.unwrap().unwrap();
        assert_eq!(open(&registry, "event-stream"), 1.0);
        assert_eq!(requests_with_status(&registry, "200"), 1.0);
        drop((body, client));
        wait_until("the stream is closed", || {
            open(&registry, "event-stream") == 0.0
        })
        .await;
        wait_for_requests_to_end(&registry, 1).await;
    }
}
