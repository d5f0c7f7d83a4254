//! The `grpc_code` of a call, for every way in which a call can end.

use std::convert::Infallible;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full, StreamBody};
use tower::{Layer, Service, service_fn};
use tower_prometheus::grpc::GrpcRequestBody;
use tower_prometheus::{GrpcMetrics, Registry, grpc::GrpcType};

use test_support::body::{ScriptedBody, Step};
use test_support::grpc::{handled_calls, message_counts, wait_for_calls_to_end};

type ServiceResult<B> = Result<Response<B>, &'static str>;

fn server_metrics() -> (Registry, GrpcMetrics) {
    let metrics = GrpcMetrics::server().method("a.B", "C", GrpcType::Unary);
    (Registry::new(), metrics)
}

fn request() -> Request<Full<Bytes>> {
    Request::post("/a.B/C")
        .header("content-type", "application/grpc")
        .body(Full::default())
        .unwrap()
}

fn response<B>(status: u16, grpc_status: Option<&str>, body: B) -> Response<B> {
    let response = Response::builder()
        .status(status)
        .header("content-type", "application/grpc");
    let response = match grpc_status {
        Some(code) => response.header("grpc-status", code),
        None => response,
    };
    response.body(body).unwrap()
}

/// A body with one message and trailers.
fn message_and_trailers(
    trailers: &[(&'static str, &str)],
) -> impl Body<Data = Bytes, Error = Infallible> + Unpin + use<> {
    let mut map = HeaderMap::new();
    for (name, value) in trailers {
        map.insert(*name, value.parse().unwrap());
    }
    let frames = [
        Ok(Frame::data(Bytes::from_static(b"\0\0\0\0\x01x"))),
        Ok(Frame::trailers(map)),
    ];
    StreamBody::new(futures_util::stream::iter(frames))
}

/// Calls a service that returns `respond()`, reads the body until it ends, fails or is pending, and drops it. Returns the
/// code that was counted.
async fn code_of<B: Body + Unpin>(respond: impl Fn() -> ServiceResult<B>) -> String {
    let (registry, metrics) = server_metrics();
    code_in(&registry, metrics, respond).await
}

async fn code_in<B: Body + Unpin>(
    registry: &Registry,
    metrics: GrpcMetrics,
    respond: impl Fn() -> ServiceResult<B>,
) -> String {
    let side = if format!("{metrics:?}").contains("Client") {
        "client"
    } else {
        "server"
    };
    let layer = metrics.build(registry).unwrap();
    let inner =
        service_fn(|_: Request<GrpcRequestBody<Full<Bytes>>>| std::future::ready(respond()));
    if let Ok(response) = layer.layer(inner).call(request()).await {
        let mut body = response.into_body();
        let cx = &mut Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(Ok(_))) = pin!(&mut body).poll_frame(cx) {}
    }
    wait_for_calls_to_end(registry, side, 1).await;
    counted_code(registry, side)
}

/// The code of the only call that was counted.
fn counted_code(registry: &Registry, side: &str) -> String {
    let page = registry.render();
    let counted = page
        .lines()
        .filter(|line| line.starts_with(&format!("grpc_{side}_handled_total{{")))
        .find(|line| line.ends_with(" 1"))
        .unwrap();
    let (_, code) = counted.split_once("grpc_code=\"").unwrap();
    code.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn grpc_status_in_trailers_is_the_code() {
    for (status, code) in [("0", "OK"), ("13", "Internal"), ("77", "Unknown")] {
        let respond = || {
            Ok(response(
                200,
                None,
                message_and_trailers(&[("grpc-status", status)]),
            ))
        };
        assert_eq!(code_of(respond).await, code);
    }
    // Trailers override the response head.
    let both = || {
        Ok(response(
            200,
            Some("0"),
            message_and_trailers(&[("grpc-status", "13")]),
        ))
    };
    assert_eq!(code_of(both).await, "Internal");
}

#[tokio::test]
async fn grpc_status_of_the_head_is_the_code_if_trailers_have_none() {
    let respond = || {
        Ok(response(
            200,
            Some("7"),
            message_and_trailers(&[("x-checksum", "1")]),
        ))
    };
    assert_eq!(code_of(respond).await, "PermissionDenied");
}

#[tokio::test]
async fn response_without_messages_has_its_code_in_the_head() {
    // With a body that reports that it is empty, and with one that does not.
    let full = || Ok(response(200, Some("5"), ScriptedBody::full("")));
    assert_eq!(code_of(full).await, "NotFound");
    let stream = || Ok(response(200, Some("5"), ScriptedBody::stream(&[])));
    assert_eq!(code_of(stream).await, "NotFound");
    // Clients that have the code may drop the body.
    let hangs = || Ok(response(200, Some("5"), ScriptedBody::new([Step::Hang])));
    assert_eq!(code_of(hangs).await, "NotFound");
}

#[tokio::test]
async fn http_status_is_mapped_to_a_code_without_grpc_status() {
    let mapped = [
        (200, "Unknown"),
        (400, "Internal"),
        (401, "Unauthenticated"),
        (403, "PermissionDenied"),
        (404, "Unimplemented"),
        (429, "Unavailable"),
        (502, "Unavailable"),
        (503, "Unavailable"),
        (504, "Unavailable"),
        (500, "Unknown"),
    ];
    for (status, code) in mapped {
        let respond = || Ok(response(status, None, ScriptedBody::full("sorry")));
        assert_eq!(code_of(respond).await, code, "{status}");
        let respond = || {
            Ok(response(
                status,
                None,
                message_and_trailers(&[("x-checksum", "1")]),
            ))
        };
        assert_eq!(code_of(respond).await, code, "{status}");
    }
}

#[tokio::test]
async fn errors_are_unavailable_for_clients_and_unknown_for_servers() {
    let error = || Err::<Response<ScriptedBody>, _>("refused");
    let broken = || {
        Ok(response(
            200,
            None,
            ScriptedBody::new([Step::Data("x"), Step::Error]),
        ))
    };
    assert_eq!(code_of(error).await, "Unknown");
    assert_eq!(code_of(broken).await, "Unknown");
    let client = GrpcMetrics::client;
    assert_eq!(
        code_in(&Registry::new(), client(), error).await,
        "Unavailable"
    );
    assert_eq!(
        code_in(&Registry::new(), client(), broken).await,
        "Unavailable"
    );
}

#[tokio::test]
async fn body_dropped_before_its_trailers_is_canceled() {
    let hangs = || {
        Ok(response(
            200,
            None,
            ScriptedBody::new([Step::Data("x"), Step::Hang]),
        ))
    };
    assert_eq!(code_of(hangs).await, "Canceled");
}

/// Trailers follow the last byte, so the announced size of a body is not its end.
#[tokio::test]
async fn body_dropped_after_its_last_announced_byte_is_canceled() {
    let sized = || {
        let mut body = ScriptedBody::new([Step::Data("x"), Step::Hang]);
        body.exact_size = Some(1);
        Ok(response(200, None, body))
    };
    assert_eq!(code_of(sized).await, "Canceled");
}

/// Servers do not poll a body again that reports the end of the stream.
#[tokio::test]
async fn body_that_reports_end_of_stream_ends_without_another_poll() {
    let (registry, metrics) = server_metrics();
    let layer = metrics.build(&registry).unwrap();
    for content in ["", "\0\0\0\0\x01x"] {
        let inner = service_fn(async |_: Request<GrpcRequestBody<Full<Bytes>>>| {
            Ok::<_, Infallible>(response(200, None, ScriptedBody::full(content)))
        });
        let response = layer.layer(inner).call(request()).await.unwrap();
        let mut body = response.into_body();
        if !body.is_end_stream() {
            body.frame().await.unwrap().unwrap();
        }
    }
    wait_for_calls_to_end(&registry, "server", 2).await;
    assert_eq!(handled_calls(&registry, "C", "Unknown"), 2.0);
    assert_eq!(message_counts(&registry, "C"), (0.0, 1.0));
}

#[tokio::test]
async fn panics_in_call_poll_and_body_are_internal_and_propagate() {
    let (registry, metrics) = server_metrics();
    let layer = metrics.build(&registry).unwrap();
    let in_call = service_fn(|_: Request<GrpcRequestBody<Full<Bytes>>>| {
        // `black_box`, because the code after a panic would be unreachable.
        if std::hint::black_box(true) {
            panic!("in call")
        }
        std::future::ready(Ok::<Response<ScriptedBody>, Infallible>(Response::default()))
    });
    let mut service = layer.layer(in_call);
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        drop(service.call(request()));
    }));
    assert!(caught.is_err());

    let in_poll = async |_: Request<GrpcRequestBody<Full<Bytes>>>| -> ServiceResult<ScriptedBody> {
        panic!("in poll")
    };
    let call = layer.layer(service_fn(in_poll)).call(request());
    let caught = std::panic::AssertUnwindSafe(call).catch_unwind().await;
    assert!(caught.is_err());

    let in_body = async |_: Request<GrpcRequestBody<Full<Bytes>>>| {
        let body = ScriptedBody::new([Step::Data("x"), Step::Panic]);
        Ok::<_, Infallible>(response(200, None, body))
    };
    let body = layer.layer(service_fn(in_body)).call(request()).await;
    let read = body.unwrap().into_body().collect();
    let caught = std::panic::AssertUnwindSafe(read).catch_unwind().await;
    assert!(caught.is_err());

    wait_for_calls_to_end(&registry, "server", 3).await;
    assert_eq!(handled_calls(&registry, "C", "Internal"), 3.0);
}

#[tokio::test]
async fn future_that_is_never_polled_is_canceled() {
    let (registry, metrics) = server_metrics();
    let inner = service_fn(|_: Request<GrpcRequestBody<Full<Bytes>>>| {
        std::future::pending::<ServiceResult<ScriptedBody>>()
    });
    let mut service = metrics.build(&registry).unwrap().layer(inner);
    drop(service.call(request()));
    wait_for_calls_to_end(&registry, "server", 1).await;
    assert_eq!(handled_calls(&registry, "C", "Canceled"), 1.0);
}

#[tokio::test]
async fn request_and_response_bodies_keep_their_size_and_end_of_stream() {
    let (registry, metrics) = server_metrics();
    let inner = service_fn(async |request: Request<GrpcRequestBody<Full<Bytes>>>| {
        let body = request.into_body();
        assert_eq!(body.size_hint().exact(), Some(0));
        assert!(body.is_end_stream());
        Ok::<_, Infallible>(response(503, None, ScriptedBody::full("sorry")))
    });
    let mut service = metrics.build(&registry).unwrap().layer(inner);
    let body = service.call(request()).await.unwrap().into_body();
    assert_eq!(body.size_hint().exact(), Some(5));
    assert!(!body.is_end_stream());
    assert_eq!(body.collect().await.unwrap().to_bytes(), "sorry");
    wait_for_calls_to_end(&registry, "server", 1).await;
}
