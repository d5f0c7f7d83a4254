//! Which code a call ends with, from services that answer in every way there is.

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
use test_support::grpc::{handled_calls, message_counts, sum_or_zero, wait_for_calls_to_end};

type Answer<B> = Result<Response<B>, &'static str>;

fn measured() -> (Registry, GrpcMetrics) {
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

/// A body of some data, and trailers with or without a code.
fn trailing(
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

/// Calls a service that answers so, reads what there is, and tells the code that was counted.
async fn code_of<B: Body + Unpin>(answer: impl Fn() -> Answer<B>) -> String {
    let (registry, metrics) = measured();
    code_on(&registry, metrics, answer).await
}

async fn code_on<B: Body + Unpin>(
    registry: &Registry,
    metrics: GrpcMetrics,
    answer: impl Fn() -> Answer<B>,
) -> String {
    let side = if format!("{metrics:?}").contains("Client") {
        "client"
    } else {
        "server"
    };
    let layer = metrics.build(registry).unwrap();
    let inner = service_fn(|_: Request<GrpcRequestBody<Full<Bytes>>>| std::future::ready(answer()));
    if let Ok(response) = layer.layer(inner).call(request()).await {
        let mut body = response.into_body();
        let cx = &mut Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(Ok(_))) = pin!(&mut body).poll_frame(cx) {}
    }
    wait_for_calls_to_end(registry, side, 1).await;
    code(registry, side)
}

/// The one code that was counted.
fn code(registry: &Registry, side: &str) -> String {
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
async fn trailers_say_the_code() {
    for (status, code) in [("0", "OK"), ("13", "Internal"), ("77", "Unknown")] {
        let answer = || Ok(response(200, None, trailing(&[("grpc-status", status)])));
        assert_eq!(code_of(answer).await, code);
    }
    // The last word is theirs.
    let both = || Ok(response(200, Some("0"), trailing(&[("grpc-status", "13")])));
    assert_eq!(code_of(both).await, "Internal");
}

#[tokio::test]
async fn trailers_without_a_code_leave_the_heads() {
    let answer = || Ok(response(200, Some("7"), trailing(&[("x-checksum", "1")])));
    assert_eq!(code_of(answer).await, "PermissionDenied");
}

#[tokio::test]
async fn a_response_without_messages_says_it_in_its_head() {
    // As a body that knows that it is empty, and as one that does not.
    let full = || Ok(response(200, Some("5"), ScriptedBody::full("")));
    assert_eq!(code_of(full).await, "NotFound");
    let stream = || Ok(response(200, Some("5"), ScriptedBody::stream(&[])));
    assert_eq!(code_of(stream).await, "NotFound");
    // Clients that have the code do not read on.
    let hangs = || Ok(response(200, Some("5"), ScriptedBody::new([Step::Hang])));
    assert_eq!(code_of(hangs).await, "NotFound");
}

#[tokio::test]
async fn without_any_code_the_status_of_http_decides() {
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
        let answer = || Ok(response(status, None, ScriptedBody::full("sorry")));
        assert_eq!(code_of(answer).await, code, "{status}");
        let answer = || Ok(response(status, None, trailing(&[("x-checksum", "1")])));
        assert_eq!(code_of(answer).await, code, "{status}");
    }
}

#[tokio::test]
async fn errors_are_the_connections_for_a_client_and_unknown_for_a_server() {
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
        code_on(&Registry::new(), client(), error).await,
        "Unavailable"
    );
    assert_eq!(
        code_on(&Registry::new(), client(), broken).await,
        "Unavailable"
    );
}

#[tokio::test]
async fn a_body_dropped_before_its_trailers_was_canceled() {
    let hangs = || {
        Ok(response(
            200,
            None,
            ScriptedBody::new([Step::Data("x"), Step::Hang]),
        ))
    };
    assert_eq!(code_of(hangs).await, "Canceled");
}

/// Servers do not poll a body that says that it is at its end.
#[tokio::test]
async fn a_body_that_reports_end_of_stream_is_complete_without_being_asked_again() {
    let (registry, metrics) = measured();
    let layer = metrics.build(&registry).unwrap();
    for whole in ["", "\0\0\0\0\x01x"] {
        let inner = service_fn(async |_: Request<GrpcRequestBody<Full<Bytes>>>| {
            Ok::<_, Infallible>(response(200, None, ScriptedBody::full(whole)))
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
async fn panics_are_internal_wherever_they_come_from_and_go_on() {
    let (registry, metrics) = measured();
    let layer = metrics.build(&registry).unwrap();
    let in_call = service_fn(|_: Request<GrpcRequestBody<Full<Bytes>>>| {
        if registry.constant_labels_are_none() {
            panic!("in call")
        }
        std::future::ready(Ok::<Response<ScriptedBody>, Infallible>(Response::default()))
    });
    let mut service = layer.layer(in_call);
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        drop(service.call(request()));
    }));
    assert!(caught.is_err());

    let in_poll = async |_: Request<GrpcRequestBody<Full<Bytes>>>| -> Answer<ScriptedBody> {
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

trait Always {
    fn constant_labels_are_none(&self) -> bool;
}

impl Always for Registry {
    /// Something that the compiler does not know is true.
    fn constant_labels_are_none(&self) -> bool {
        sum_or_zero(self, "nothing", &[]) == 0.0
    }
}

#[tokio::test]
async fn a_future_that_is_never_polled_is_canceled() {
    let (registry, metrics) = measured();
    let inner = service_fn(|_: Request<GrpcRequestBody<Full<Bytes>>>| {
        std::future::pending::<Answer<ScriptedBody>>()
    });
    let mut service = metrics.build(&registry).unwrap().layer(inner);
    drop(service.call(request()));
    wait_for_calls_to_end(&registry, "server", 1).await;
    assert_eq!(handled_calls(&registry, "C", "Canceled"), 1.0);
}

/// The bodies say as much about themselves as the ones they wrap.
#[tokio::test]
async fn bodies_forward_what_is_known_of_them() {
    let (registry, metrics) = measured();
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
