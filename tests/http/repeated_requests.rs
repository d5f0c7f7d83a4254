//! The fast path records the same as the slow path: the first request registers its series, later ones find them. However
//! requests end and whatever is recorded, the first and the fifth of a kind are recorded alike.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use futures_util::FutureExt;
use http::{Method, Request, Response};
use http_body::Body;
use http_body_util::BodyExt;
use tower::{Layer, Service, service_fn};
use tower_prometheus::{
    HttpMetrics, Registry,
    http::{Endpoint, HttpLabel, HttpMetric, LongLived, MeasureUntil, TraceId},
};

use test_support::body::{ScriptedBody, Step};
use test_support::page::samples;

/// A method, and how the service handles the request.
struct Case {
    name: &'static str,
    method: Method,
    outcome: Outcome,
}

type Respond = fn() -> Response<ScriptedBody>;

enum Outcome {
    Response(Respond),
    Error,
    Panic,
    /// The future is pending and then dropped.
    Cancelled,
}

fn status(status: u16, body: ScriptedBody) -> Response<ScriptedBody> {
    let response = Response::builder().status(status).header("x-cache", "hit");
    response.body(body).unwrap()
}

fn with_extension<T: Clone + Send + Sync + 'static>(extension: T) -> Response<ScriptedBody> {
    let response = Response::builder().extension(extension);
    response.body(ScriptedBody::full("hello")).unwrap()
}

fn event_stream() -> Response<ScriptedBody> {
    let response = Response::builder().header("content-type", "text/event-stream");
    response.body(ScriptedBody::stream(&["a"])).unwrap()
}

fn cases() -> Vec<Case> {
    let get = Method::GET;
    let hello = || status(200, ScriptedBody::full("hello"));
    let responses: [(_, _, Respond); 20] = [
        ("complete body", get.clone(), hello),
        ("empty body", get.clone(), || {
            status(200, ScriptedBody::full(""))
        }),
        ("stream", get.clone(), || {
            status(200, ScriptedBody::stream(&["a", "b"]))
        }),
        ("status 404", get.clone(), || {
            status(404, ScriptedBody::full("what?"))
        }),
        ("HEAD", Method::HEAD, hello),
        ("CONNECT", Method::CONNECT, hello),
        ("refused CONNECT", Method::CONNECT, || {
            status(403, ScriptedBody::full("no"))
        }),
        ("status 204", get.clone(), || {
            status(204, ScriptedBody::full("never sent"))
        }),
        ("status 304", get.clone(), || {
            status(304, ScriptedBody::full("never sent"))
        }),
        ("status 101", get.clone(), || {
            status(101, ScriptedBody::full("never sent"))
        }),
        ("status 103", get.clone(), || {
            status(103, ScriptedBody::full("never sent"))
        }),
        ("event stream", get.clone(), event_stream),
        ("LongLived extension", get.clone(), || {
            with_extension(LongLived::new("download"))
        }),
        ("Endpoint extension", get.clone(), || {
            with_extension(Endpoint::from_static("/named"))
        }),
        ("skipped Endpoint extension", get.clone(), || {
            with_extension(Endpoint::from_static("/skipped"))
        }),
        ("trailers", get.clone(), || {
            status(200, ScriptedBody::new([Step::Data("a"), Step::Trailers]))
        }),
        ("body fails", get.clone(), || {
            status(200, ScriptedBody::new([Step::Data("a"), Step::Error]))
        }),
        ("body panics", get.clone(), || {
            status(200, ScriptedBody::new([Step::Data("a"), Step::Panic]))
        }),
        ("body hangs", get.clone(), || {
            status(200, ScriptedBody::new([Step::Data("a"), Step::Hang]))
        }),
        ("status 500 to POST", Method::POST, || {
            status(500, ScriptedBody::full("oh"))
        }),
    ];
    let responses = responses.map(|(name, method, respond)| {
        let outcome = Outcome::Response(respond);
        Case {
            name,
            method,
            outcome,
        }
    });
    let others = [
        ("service fails", Outcome::Error),
        ("service panics", Outcome::Panic),
        ("cancelled", Outcome::Cancelled),
    ];
    let others = others.map(|(name, outcome)| Case {
        name,
        method: get.clone(),
        outcome,
    });
    responses.into_iter().chain(others).collect()
}

/// Configurations that need more or less of a request.
fn configurations() -> Vec<(&'static str, HttpMetrics)> {
    let server = HttpMetrics::server;
    let cache = HttpLabel::from_response("cache", |response| response.header("x-cache"));
    let client = HttpLabel::from_request("client", |request| request.header("x-client"));
    let full = server()
        .max_endpoints(1)
        .preregister(Method::GET, "/y", [200]);
    vec![
        ("default", server()),
        (
            "duration to the response head",
            server().measure_until(MeasureUntil::Head),
        ),
        ("HeadDuration", server().measure(HttpMetric::HeadDuration)),
        (
            "ResponseBodySize",
            server().measure(HttpMetric::ResponseBodySize),
        ),
        ("status classes", server().status_classes()),
        ("status on durations", server().status_on_durations()),
        ("exemplars", server().exemplar(TraceId::from_traceparent)),
        ("label from response", server().label(cache)),
        ("label from request", server().label(client)),
        (
            "without InProgress",
            server().without(HttpMetric::InProgress),
        ),
        ("without Duration", server().without(HttpMetric::Duration)),
        ("route patterns", server().route_patterns(["/x"])),
        ("endpoint overflow", full),
    ]
}

fn request(method: &Method) -> Request<()> {
    Request::builder()
        .method(method)
        .uri("/x")
        .header("x-client", "ios")
        .header(
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        )
        .extension(Endpoint::from_static("/x"))
        .body(())
        .unwrap()
}

/// Sends the request of a case once. The body is read if `reads_body`, otherwise dropped.
fn send<S, B>(service: &mut S, case: &Case, reads_body: bool)
where
    S: Service<Request<()>, Response = Response<B>>,
    B: Body,
{
    let cx = &mut Context::from_waker(Waker::noop());
    let request_and_body = AssertUnwindSafe(|| {
        let mut future = pin!(service.call(request(&case.method)));
        let Poll::Ready(Ok(response)) = future.as_mut().poll(cx) else {
            return;
        };
        let mut body = pin!(response.into_body());
        while reads_body && !body.is_end_stream() {
            if !matches!(body.frame().now_or_never(), Some(Some(Ok(_)))) {
                return;
            }
        }
    });
    let _ = std::panic::catch_unwind(request_and_body);
}

/// The samples of the page after `times` requests, without those that depend on their duration.
fn samples_after(
    case: &Case,
    reads_body: bool,
    metrics: HttpMetrics,
    times: usize,
) -> BTreeMap<String, f64> {
    let registry = Registry::new();
    let metrics = metrics.skip(["/skipped"]);
    let service = service_fn(async |_: Request<()>| match case.outcome {
        Outcome::Response(respond) => Ok(respond()),
        Outcome::Error => Err("the service failed"),
        Outcome::Panic => panic!("the service panicked"),
        Outcome::Cancelled => std::future::pending().await,
    });
    let mut service = metrics.build(&registry).unwrap().layer(service);
    (0..times).for_each(|_| send(&mut service, case, reads_body));
    let mut page = samples(&registry.render());
    page.retain(|name, _| {
        let is_bucket = name.contains("seconds_bucket") && !name.contains("+Inf");
        !is_bucket && !name.contains("seconds_sum")
    });
    page
}

#[test]
fn five_equal_requests_are_recorded_as_five_times_one() {
    for (configuration, metrics) in configurations() {
        for case in cases() {
            for reads_body in [true, false] {
                let mut expected = samples_after(&case, reads_body, metrics.clone(), 1);
                for value in expected.values_mut() {
                    *value *= 5.0;
                }
                let found = samples_after(&case, reads_body, metrics.clone(), 5);
                assert_eq!(
                    found, expected,
                    "{}, {configuration}, reads the body: {reads_body}",
                    case.name
                );
            }
        }
    }
}
