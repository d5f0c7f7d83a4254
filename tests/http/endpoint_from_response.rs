//! The endpoint of a request whose response has an `Endpoint` extension.

use http::{Request, Response};
use tower::{Layer, ServiceExt, service_fn};
use tower_prometheus::{
    HttpMetrics, Registry,
    http::{Endpoint, EndpointLayer},
};

use test_support::assert_requests_ended;
use test_support::body::{ScriptedBody, Step};
use test_support::service::request_to;

/// Sends a request to a service that is pending once, so that the request is in progress at the endpoint `unmatched`.
/// The service then returns the response with an `Endpoint` extension.
async fn respond_after_yield(
    layer: HttpMetrics,
    registry: &Registry,
    mut response: Response<ScriptedBody>,
    endpoint: &'static str,
) -> Response<impl http_body::Body<Data = bytes::Bytes, Error = &'static str>> {
    response
        .extensions_mut()
        .insert(Endpoint::from_static(endpoint));
    let mut response = Some(response);
    let service = service_fn(move |_: Request<()>| {
        let response = response.take().unwrap();
        async {
            tokio::task::yield_now().await;
            Ok::<_, ()>(response)
        }
    });
    layer
        .build(registry)
        .unwrap()
        .layer(service)
        .oneshot(Request::new(()))
        .await
        .unwrap()
}

/// The request stays in progress at the endpoint that was known when it started. The counter and the histogram use that
/// of the response.
#[tokio::test]
async fn response_can_set_the_endpoint() {
    let registry = Registry::new();
    let service = service_fn(async |_: Request<()>| {
        tokio::task::yield_now().await;
        let mut response = Response::new(String::from("x"));
        response
            .extensions_mut()
            .insert(Endpoint::from_static("/response"));
        Ok::<_, ()>(response)
    });
    let service = registry.http_layer().layer(service);
    let response = service.oneshot(Request::new(())).await.unwrap();
    let in_progress = |endpoint| {
        let labels = [("endpoint", endpoint)];
        registry.sum("http_requests_in_progress", &labels)
    };
    assert_eq!(in_progress("unmatched"), Some(1.0));
    assert_eq!(in_progress("/response"), None);
    drop(response);
    let requests = |endpoint| {
        let labels = [("endpoint", endpoint), ("status", "200")];
        registry.sum("http_requests_total", &labels)
    };
    assert_eq!(requests("/response"), Some(1.0));
    assert_eq!(requests("unmatched"), None);
    assert_requests_ended(&registry, 1);
}

/// A request that is answered at once is registered with its response, unless the endpoint that is known at its start
/// already has a series.
#[tokio::test]
async fn request_answered_at_once_is_in_progress_at_the_endpoint_of_the_response() {
    let registry = Registry::new();
    let layer = registry.http_layer();
    let respond = |waits: bool| {
        layer.layer(service_fn(move |_: Request<()>| async move {
            if waits {
                tokio::task::yield_now().await;
            }
            let mut response = Response::new(String::from("x"));
            let endpoint = Endpoint::from_static("/response");
            response.extensions_mut().insert(endpoint);
            Ok::<_, ()>(response)
        }))
    };
    let in_progress =
        |endpoint| registry.sum("http_requests_in_progress", &[("endpoint", endpoint)]);
    for (waits, unmatched, named) in [
        (false, None, Some(1.0)),
        (false, None, Some(1.0)),
        (true, Some(1.0), Some(0.0)),
        (false, Some(1.0), Some(0.0)),
    ] {
        let response = respond(waits).oneshot(Request::new(())).await.unwrap();
        assert_eq!(in_progress("unmatched"), unmatched);
        assert_eq!(in_progress("/response"), named);
        drop(response);
    }
}

#[tokio::test]
async fn duration_and_aborted_body_are_recorded_at_the_endpoint_of_the_response() {
    let registry = Registry::new();
    drop(
        respond_after_yield(
            HttpMetrics::server(),
            &registry,
            Response::new(ScriptedBody::full("x")),
            "/response",
        )
        .await,
    );
    for family in [
        "http_request_duration_seconds_count",
        "http_response_bodies_aborted_total",
    ] {
        assert_eq!(
            registry.sum(family, &[("endpoint", "/response")]),
            Some(1.0),
            "{family}"
        );
    }
    assert_requests_ended(&registry, 1);
}

#[tokio::test]
async fn open_connection_is_counted_at_the_endpoint_of_the_response() {
    let registry = Registry::new();
    let stream = Response::builder()
        .header("content-type", "text/event-stream")
        .body(ScriptedBody::new([Step::Hang]))
        .unwrap();
    let response = respond_after_yield(HttpMetrics::server(), &registry, stream, "/response").await;
    let labels = [("endpoint", "/response"), ("kind", "event-stream")];
    assert_eq!(registry.sum("http_connections_open", &labels), Some(1.0));
    drop(response);
    assert_requests_ended(&registry, 1);
}

#[tokio::test]
async fn request_in_progress_is_not_counted_if_its_response_names_a_skipped_endpoint() {
    let registry = Registry::new();
    let layer = HttpMetrics::server().skip(["/health"]);
    drop(
        respond_after_yield(
            layer,
            &registry,
            Response::new(ScriptedBody::full("x")),
            "/health",
        )
        .await,
    );
    assert_requests_ended(&registry, 0);
}

#[tokio::test]
async fn endpoint_of_the_response_overrides_that_of_the_request() {
    let registry = Registry::new();
    let inner = service_fn(async |_: Request<()>| {
        let response = Response::builder().extension(Endpoint::from_static("/response"));
        Ok::<_, ()>(response.body(String::new()).unwrap())
    });
    drop(
        registry
            .http_layer()
            .layer(inner)
            .oneshot(request_to("/request"))
            .await,
    );
    let requests = |endpoint| registry.sum("http_requests_total", &[("endpoint", endpoint)]);
    assert_eq!(
        (requests("/request"), requests("/response")),
        (None, Some(1.0))
    );
    assert_requests_ended(&registry, 1);
}

#[tokio::test]
async fn endpoint_layer_keeps_the_endpoint_that_an_inner_service_set() {
    let inner = service_fn(async |_: Request<()>| {
        let response = Response::builder().extension(Endpoint::from_static("/inner"));
        Ok::<_, ()>(response.body(()).unwrap())
    });
    let response = EndpointLayer::new()
        .layer(inner)
        .oneshot(request_to("/outer"))
        .await
        .unwrap();
    assert_eq!(
        response.extensions().get::<Endpoint>().unwrap().as_str(),
        "/inner"
    );
}
