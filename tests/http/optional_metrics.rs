//! Metrics that are off by default: responses by status, response bytes, lifetimes of connections, and request bodies.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use tower::{BoxError, Layer, ServiceExt, service_fn};
use tower_prometheus::http::{HttpMetric, MeasureUntil, RequestBody};
use tower_prometheus::{HttpMetrics, Registry};

use test_support::assert_requests_ended;
use test_support::body::{ScriptedBody, Step};

#[tokio::test]
async fn response_bytes_grow_while_the_body_streams() {
    let registry = Registry::new();
    let layer = HttpMetrics::server()
        .measure(HttpMetric::ResponseBytes)
        .preregister(http::Method::GET, "/idle", [200])
        .build(&registry)
        .unwrap();
    let bytes = || registry.sum("http_response_body_bytes_total", &[]);
    assert_eq!(bytes(), Some(0.0), "preregistered");
    let mut sent = 0.0;
    for event_stream in [false, true] {
        let service = service_fn(async |_: Request<()>| {
            let mut response = Response::new(ScriptedBody::stream(&["four", "sixsix"]));
            if event_stream {
                let events = "text/event-stream".parse().unwrap();
                response.headers_mut().insert("content-type", events);
            }
            Ok::<_, ()>(response)
        });
        let response = layer
            .layer(service)
            .oneshot(Request::new(()))
            .await
            .unwrap();
        let mut body = pin!(response.into_body());
        for frame in [4.0, 6.0] {
            body.frame().await.unwrap().unwrap();
            sent += frame;
            assert_eq!(bytes(), Some(sent));
        }
    }
    assert_requests_ended(&registry, 2);
}

#[tokio::test]
async fn only_requests_with_a_response_are_counted_as_responses() {
    let registry = Registry::new();
    let layer = HttpMetrics::server()
        .measure(HttpMetric::Responses)
        .build(&registry)
        .unwrap();
    let respond = service_fn(test_support::service::ok);
    drop(layer.layer(respond).oneshot(Request::new(())).await);
    let fail = service_fn(async |_: Request<()>| Err::<Response<String>, _>(()));
    drop(layer.layer(fail).oneshot(Request::new(())).await);
    assert_eq!(registry.sum("http_requests_total", &[]), Some(2.0));
    assert_eq!(registry.sum("http_responses_total", &[]), Some(1.0));
    let ok = [("status", "200")];
    assert_eq!(registry.sum("http_responses_total", &ok), Some(1.0));
}

/// Polls a future once.
async fn poll_once<F: Future + Unpin>(mut future: F) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(pin!(&mut future).poll(cx))).await
}

/// Sends a request whose handler reads `polls` frames of the body and then responds, unless it is cancelled.
async fn upload(body: ScriptedBody, polls: usize, is_cancelled: bool) -> Registry {
    let registry = Registry::new();
    let layer = HttpMetrics::server()
        .with_request_body()
        .build(&registry)
        .unwrap();
    let service = service_fn(
        move |request: Request<RequestBody<ScriptedBody>>| async move {
            let mut body = pin!(request.into_body());
            for _ in 0..polls {
                let frame: Option<Result<http_body::Frame<Bytes>, _>> = body.frame().await;
                if frame.is_none_or(|frame| frame.is_err()) {
                    break;
                }
            }
            Ok::<_, BoxError>(Response::new(String::new()))
        },
    );
    let mut future = pin!(layer.layer(service).oneshot(Request::new(body)));
    let polled = poll_once(future.as_mut()).await;
    assert_eq!(polled.is_pending(), is_cancelled);
    registry
}

#[tokio::test]
async fn request_body_is_aborted_if_it_fails_or_the_request_is_cancelled_while_it_is_read() {
    let data = || Step::Data("a");
    for (steps, polls, reason) in [
        (vec![data(), Step::Error], 2, Some("error")),
        (vec![data(), Step::Hang], 2, Some("dropped")),
        (vec![data(), data()], 3, None),
        // The reader stops at the trailers, and the request is cancelled later.
        (vec![data(), Step::Trailers, Step::Hang], 2, None),
        // A handler may ignore the rest of a body: this is not an aborted body.
        (vec![data(), data()], 1, None),
        (vec![Step::Error], 0, None),
    ] {
        let is_cancelled = reason == Some("dropped");
        let registry = upload(ScriptedBody::new(steps.clone()), polls, is_cancelled).await;
        let aborted = |labels: &[_]| registry.sum("http_request_bodies_aborted_total", labels);
        assert_eq!(aborted(&[]), reason.map(|_| 1.0), "{steps:?}");
        if let Some(reason) = reason {
            assert_eq!(aborted(&[("reason", reason)]), Some(1.0), "{steps:?}");
        }
        assert_requests_ended(&registry, 1);
    }
}

#[tokio::test]
async fn client_that_drops_a_body_before_it_polls_it_has_not_read_it() {
    let respond = || {
        service_fn(async |_: Request<()>| {
            Ok::<_, ()>(Response::new(ScriptedBody::new([Step::Hang])))
        })
    };
    for (metrics, name) in [
        (
            HttpMetrics::client(),
            "http_client_response_bodies_aborted_total",
        ),
        (HttpMetrics::server(), "http_response_bodies_aborted_total"),
    ] {
        let is_client = name.contains("client");
        let registry = Registry::new();
        let layer = metrics.build(&registry).unwrap();
        let aborted = |reason| registry.sum(name, &[("reason", reason)]);
        let response = layer.layer(respond()).oneshot(Request::new(())).await;
        drop(response);
        assert_eq!(aborted("unread"), is_client.then_some(1.0));
        assert_eq!(aborted("dropped"), (!is_client).then_some(1.0));

        let response = layer.layer(respond()).oneshot(Request::new(())).await;
        let mut body = Box::pin(response.unwrap().into_body());
        assert!(poll_once(body.frame()).await.is_pending());
        drop(body);
        assert_eq!(aborted("unread"), is_client.then_some(1.0));
        assert_eq!(aborted("dropped"), Some(if is_client { 1.0 } else { 2.0 }));
    }
}

#[test]
fn help_says_what_the_duration_measures_and_can_be_set() {
    let help = |metrics: HttpMetrics| metrics.family(HttpMetric::Duration).unwrap().unwrap().help;
    let to_head = HttpMetrics::server().measure_until(MeasureUntil::Head);
    let expected = "Duration of HTTP requests up to the response head in seconds.";
    assert_eq!(help(to_head.clone()), expected);
    let registry = Registry::new();
    let own = to_head.help(HttpMetric::Duration, "Latency.");
    assert_eq!(help(own.clone()), "Latency.");
    own.preregister(http::Method::GET, "/", [200])
        .build(&registry)
        .unwrap();
    let page = registry.render();
    assert!(
        page.contains("# HELP http_request_duration_seconds Latency.\n"),
        "{page}"
    );
}

#[test]
fn bounds_without_a_metric_are_errors() {
    for (metrics, setting) in [
        (HttpMetrics::server().size_buckets([1.0]), "size_buckets"),
        (
            HttpMetrics::server().connection_buckets([1.0]),
            "connection_buckets",
        ),
    ] {
        let error = metrics.build(Registry::new()).unwrap_err().to_string();
        assert!(error.starts_with(setting), "{error}");
    }
    let used = HttpMetrics::server()
        .size_buckets([1.0])
        .measure(HttpMetric::ResponseBodySize)
        .connection_buckets([1.0])
        .measure(HttpMetric::ConnectionDuration);
    assert!(used.build(Registry::new()).is_ok());
}
