//! Body sizes count the bytes that passed. The duration of request bodies is measured, too.

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tower::{Layer, Service, ServiceBuilder, service_fn};
use tower_prometheus::{
    HttpMetrics, Registry,
    http::{HttpMetric, RequestBody},
};

use test_support::body::{ScriptedBody, Step};
use test_support::server::{BOTH_PROTOCOLS, Server};
use test_support::{assert_requests_ended, wait_for_requests_to_end};

/// Returns the count and the sum of a histogram.
fn sizes(registry: &Registry, family: &str) -> (f64, f64) {
    let part = |part| {
        registry
            .sum(&format!("{family}_{part}"), &[])
            .unwrap_or(0.0)
    };
    (part("count"), part("sum"))
}

const RESPONSE: &str = "http_response_body_size_bytes";
const REQUEST: &str = "http_request_body_size_bytes";
const READING: &str = "http_request_body_duration_seconds";

/// Reads `frames` frames of a response and drops it. Returns the count and the sum of the response sizes.
async fn measured(method: &str, response: Response<ScriptedBody>, frames: usize) -> (f64, f64) {
    let registry = Registry::new();
    let layer = HttpMetrics::server()
        .measure(HttpMetric::ResponseBodySize)
        .build(&registry)
        .unwrap();
    let mut response = Some(response);
    let service =
        service_fn(move |_: Request<()>| std::future::ready(Ok::<_, ()>(response.take().unwrap())));
    let request = Request::builder().method(method).body(()).unwrap();
    let response = layer.layer(service).call(request).await.unwrap();
    let mut body = Box::pin(response.into_body());
    for _ in 0..frames {
        body.frame().await;
    }
    drop(body);
    assert_requests_ended(&registry, 1);
    sizes(&registry, RESPONSE)
}

#[tokio::test]
async fn response_body_size_is_the_number_of_bytes_read() {
    let pieces = &["01234", "56789", "abcde"];
    let stream = || Response::new(ScriptedBody::stream(pieces));
    assert_eq!(measured("GET", stream(), 4).await, (1.0, 15.0));
    // Dropped after two of three frames.
    assert_eq!(measured("GET", stream(), 2).await, (1.0, 10.0));
    assert_eq!(
        measured("GET", Response::new(ScriptedBody::full("hello")), 1).await,
        (1.0, 5.0)
    );
    assert_eq!(
        measured("GET", Response::new(ScriptedBody::full("")), 0).await,
        (1.0, 0.0)
    );
    let failing = ScriptedBody::new([Step::Data("01234"), Step::Error]);
    assert_eq!(measured("GET", Response::new(failing), 2).await, (1.0, 5.0));
    let trailers = ScriptedBody::new([Step::Data("01234"), Step::Trailers]);
    assert_eq!(
        measured("GET", Response::new(trailers), 2).await,
        (1.0, 5.0)
    );
}

/// HEAD, 204 and 304 have no body. Over HTTP/2, the server polls it all the same.
#[tokio::test]
async fn response_without_a_body_has_size_0_and_a_long_lived_one_none() {
    assert_eq!(
        measured("HEAD", Response::new(ScriptedBody::stream(&["01234"])), 2).await,
        (1.0, 0.0)
    );
    for status in [204, 304] {
        let response = Response::builder()
            .status(status)
            .body(ScriptedBody::stream(&["01234"]));
        assert_eq!(measured("GET", response.unwrap(), 2).await, (1.0, 0.0));
    }
    // A long-lived response is counted at its head, so it has no size.
    let events = Response::builder().header("content-type", "text/event-stream");
    let events = events.body(ScriptedBody::stream(&["01234"])).unwrap();
    assert_eq!(measured("GET", events, 2).await, (0.0, 0.0));
}

type Hint = (bool, Option<u64>);

/// Reads the request body, except for the path `/ignore`. Answers with the size hint before reading.
async fn read(request: Request<RequestBody<Incoming>>) -> Result<Response<String>, hyper::Error> {
    let is_ignored = request.uri().path() == "/ignore";
    let body = request.into_body();
    let hint: Hint = (body.is_end_stream(), body.size_hint().exact());
    if !is_ignored {
        body.collect().await?;
    }
    Ok(Response::new(format!("{hint:?}")))
}

#[tokio::test]
async fn request_body_size_is_the_number_of_bytes_the_handler_read() {
    for protocol in BOTH_PROTOCOLS {
        let registry = Registry::new();
        let layer = HttpMetrics::server()
            .with_request_body()
            .build(&registry)
            .unwrap();
        let service = ServiceBuilder::new().layer(layer).service(service_fn(read));
        let server = Server::start(service).await;
        let client = Client::builder(TokioExecutor::new())
            .http2_only(protocol == test_support::server::Protocol::Http2)
            .build_http::<Full<Bytes>>();
        let post = async |path: &str, body: &'static str| {
            let request = Request::post(server.url(path))
                .body(Full::from(body))
                .unwrap();
            let response = client.request(request).await.unwrap();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            String::from_utf8(body.to_vec()).unwrap()
        };
        // The wrapped body keeps the size hint of the inner body.
        assert_eq!(post("/read", "0123456789").await, "(false, Some(10))");
        assert_eq!(post("/read", "").await, "(true, Some(0))");
        post("/ignore", "0123456789").await;
        wait_for_requests_to_end(&registry, 3).await;
        assert_eq!(sizes(&registry, REQUEST), (3.0, 10.0), "{protocol:?}");
        assert_eq!(sizes(&registry, READING).0, 3.0);
    }
}

#[tokio::test]
async fn request_body_is_measured_if_the_service_fails() {
    let registry = Registry::new();
    let layer = HttpMetrics::server()
        .with_request_body()
        .build(&registry)
        .unwrap();
    let fails = service_fn(async |request: Request<RequestBody<ScriptedBody>>| {
        let mut body = Box::pin(request.into_body());
        body.frame().await;
        Err::<Response<String>, _>("enough")
    });
    let request = Request::new(ScriptedBody::stream(&["01234", "56789"]));
    assert!(layer.layer(fails).call(request).await.is_err());
    assert_eq!(sizes(&registry, REQUEST), (1.0, 5.0));
    assert_requests_ended(&registry, 1);
}
