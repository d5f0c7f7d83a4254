//! What a request counts does not depend on what the layer has seen before: however a request ends, the
//! fifth of its kind counts what the first did, whatever is measured.

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

/// What the service is asked, and what it does.
struct Way {
    name: &'static str,
    method: Method,
    answer: Answer,
}

type Respond = fn() -> Response<ScriptedBody>;

enum Answer {
    Response(Respond),
    Error,
    Panic,
    /// The future is dropped before there is a response.
    Never,
}

fn status(status: u16, body: ScriptedBody) -> Response<ScriptedBody> {
    let response = Response::builder().status(status).header("x-cache", "hit");
    response.body(body).unwrap()
}

fn extended<T: Clone + Send + Sync + 'static>(extension: T) -> Response<ScriptedBody> {
    let response = Response::builder().extension(extension);
    response.body(ScriptedBody::full("hello")).unwrap()
}

fn event_stream() -> Response<ScriptedBody> {
    let response = Response::builder().header("content-type", "text/event-stream");
    response.body(ScriptedBody::stream(&["a"])).unwrap()
}

fn ways() -> Vec<Way> {
    let get = Method::GET;
    let hello = || status(200, ScriptedBody::full("hello"));
    let responses: [(_, _, Respond); 20] = [
        ("complete", get.clone(), hello),
        ("empty", get.clone(), || status(200, ScriptedBody::full(""))),
        ("a stream", get.clone(), || {
            status(200, ScriptedBody::stream(&["a", "b"]))
        }),
        ("another status", get.clone(), || {
            status(404, ScriptedBody::full("what?"))
        }),
        ("a head", Method::HEAD, hello),
        ("a tunnel", Method::CONNECT, hello),
        ("a refused tunnel", Method::CONNECT, || {
            status(403, ScriptedBody::full("no"))
        }),
        ("no content", get.clone(), || {
            status(204, ScriptedBody::full("never sent"))
        }),
        ("not modified", get.clone(), || {
            status(304, ScriptedBody::full("never sent"))
        }),
        ("an upgrade", get.clone(), || {
            status(101, ScriptedBody::full("never sent"))
        }),
        ("early hints", get.clone(), || {
            status(103, ScriptedBody::full("never sent"))
        }),
        ("an event stream", get.clone(), event_stream),
        ("marked", get.clone(), || {
            extended(LongLived::new("download"))
        }),
        ("named", get.clone(), || {
            extended(Endpoint::from_static("/named"))
        }),
        ("named as one that is skipped", get.clone(), || {
            extended(Endpoint::from_static("/skipped"))
        }),
        ("trailers", get.clone(), || {
            status(200, ScriptedBody::new([Step::Data("a"), Step::Trailers]))
        }),
        ("an error in the body", get.clone(), || {
            status(200, ScriptedBody::new([Step::Data("a"), Step::Error]))
        }),
        ("a panic in the body", get.clone(), || {
            status(200, ScriptedBody::new([Step::Data("a"), Step::Panic]))
        }),
        ("a body that hangs", get.clone(), || {
            status(200, ScriptedBody::new([Step::Data("a"), Step::Hang]))
        }),
        ("a failure", Method::POST, || {
            status(500, ScriptedBody::full("oh"))
        }),
    ];
    let responses = responses.map(|(name, method, respond)| {
        let answer = Answer::Response(respond);
        Way {
            name,
            method,
            answer,
        }
    });
    let others = [
        ("an error", Answer::Error),
        ("a panic", Answer::Panic),
        ("cancelled", Answer::Never),
    ];
    let others = others.map(|(name, answer)| Way {
        name,
        method: get.clone(),
        answer,
    });
    responses.into_iter().chain(others).collect()
}

/// Layers that ask for less, for more, and elsewhere.
fn layers() -> Vec<(&'static str, HttpMetrics)> {
    let server = HttpMetrics::server;
    let cache = HttpLabel::from_response("cache", |response| response.header("x-cache"));
    let client = HttpLabel::from_request("client", |request| request.header("x-client"));
    let full = server()
        .max_endpoints(1)
        .preregister(Method::GET, "/y", [200]);
    vec![
        ("as it comes", server()),
        ("to the head", server().measure_until(MeasureUntil::Head)),
        ("with the head", server().measure(HttpMetric::HeadDuration)),
        ("with sizes", server().measure(HttpMetric::ResponseBodySize)),
        ("in classes", server().status_classes()),
        ("status on durations", server().status_on_durations()),
        ("with traces", server().exemplar(TraceId::from_traceparent)),
        ("by the response", server().label(cache)),
        ("by the request", server().label(client)),
        ("not in progress", server().without(HttpMetric::InProgress)),
        ("not durations", server().without(HttpMetric::Duration)),
        ("by patterns", server().route_patterns(["/x"])),
        ("as overflow", full),
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

/// Goes that way once; the body is read, or dropped.
fn go<S, B>(service: &mut S, way: &Way, is_read: bool)
where
    S: Service<Request<()>, Response = Response<B>>,
    B: Body,
{
    let cx = &mut Context::from_waker(Waker::noop());
    let asked = AssertUnwindSafe(|| {
        let mut future = pin!(service.call(request(&way.method)));
        let Poll::Ready(Ok(response)) = future.as_mut().poll(cx) else {
            return;
        };
        let mut body = pin!(response.into_body());
        while is_read && !body.is_end_stream() {
            if !matches!(body.frame().now_or_never(), Some(Some(Ok(_)))) {
                return;
            }
        }
    });
    let _ = std::panic::catch_unwind(asked);
}

/// What the page says after so many, but how long they took.
fn counted(way: &Way, is_read: bool, metrics: HttpMetrics, times: usize) -> BTreeMap<String, f64> {
    let registry = Registry::new();
    let metrics = metrics.skip(["/skipped"]);
    let service = service_fn(async |_: Request<()>| match way.answer {
        Answer::Response(respond) => Ok(respond()),
        Answer::Error => Err("the service failed"),
        Answer::Panic => panic!("the service panicked"),
        Answer::Never => std::future::pending().await,
    });
    let mut service = metrics.build(&registry).unwrap().layer(service);
    (0..times).for_each(|_| go(&mut service, way, is_read));
    let mut page = samples(&registry.render());
    page.retain(|name, _| {
        let is_bucket = name.contains("seconds_bucket") && !name.contains("+Inf");
        !is_bucket && !name.contains("seconds_sum")
    });
    page
}

#[test]
fn the_fifth_request_counts_what_the_first_did() {
    for (asks, metrics) in layers() {
        for way in ways() {
            for is_read in [true, false] {
                let mut expected = counted(&way, is_read, metrics.clone(), 1);
                for value in expected.values_mut() {
                    *value *= 5.0;
                }
                let found = counted(&way, is_read, metrics.clone(), 5);
                assert_eq!(found, expected, "{}, {asks}, read: {is_read}", way.name);
            }
        }
    }
}
