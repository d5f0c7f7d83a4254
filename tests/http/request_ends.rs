//! Every way in which a request can end is counted exactly once.

use std::future::{self, Future};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::BodyExt;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_prometheus::Registry;

use test_support::body::{ScriptedBody, Step};
use test_support::service::measured_response;
use test_support::{
    aborted_bodies, assert_one_request_completed, assert_requests_ended, requests_with_status,
};

type ServiceResponse = Response<ScriptedBody>;

fn request(method: &str) -> Request<()> {
    Request::builder().method(method).body(()).unwrap()
}

fn with_status(status: u16, body: ScriptedBody) -> ServiceResponse {
    Response::builder().status(status).body(body).unwrap()
}

fn with_length(length: u64, body: ScriptedBody) -> ServiceResponse {
    let response = Response::builder().header("content-length", length);
    response.body(body).unwrap()
}

/// The body of a measured GET.
async fn measured_body(
    registry: &Registry,
    response: ServiceResponse,
) -> impl Body<Data = Bytes, Error = &'static str> {
    measured_response(registry, "GET", response)
        .await
        .into_body()
}

fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn in_progress(registry: &Registry) -> Option<f64> {
    registry.sum("http_requests_in_progress", &[])
}

fn assert_completed_with_200(registry: &Registry) {
    assert_eq!(requests_with_status(registry, "200"), 1.0);
    assert_one_request_completed(registry);
}

#[tokio::test]
async fn body_ends_when_it_returns_none() {
    let registry = Registry::new();
    let response = Response::new(ScriptedBody::stream(&["a", "b"]));
    let mut body = pin!(measured_body(&registry, response).await);
    for _ in 0..2 {
        assert!(body.frame().await.is_some());
        assert_eq!(in_progress(&registry), Some(1.0));
    }
    assert!(body.frame().await.is_none());
    assert_completed_with_200(&registry);
}

#[tokio::test]
async fn body_that_reports_its_end_ends_with_its_last_frame() {
    let registry = Registry::new();
    let response =
        measured_response(&registry, "GET", Response::new(ScriptedBody::full("hello"))).await;
    assert_eq!(in_progress(&registry), Some(1.0));
    let mut body = pin!(response.into_body());
    body.frame().await;
    assert_completed_with_200(&registry);
}

#[tokio::test]
async fn empty_body_ends_at_the_response_head() {
    let registry = Registry::new();
    let _unpolled =
        measured_response(&registry, "GET", Response::new(ScriptedBody::full(""))).await;
    assert_completed_with_200(&registry);
}

#[tokio::test]
async fn body_ends_when_content_length_is_reached() {
    let registry = Registry::new();
    let response = with_length(2, ScriptedBody::stream(&["a", "b"]));
    let mut body = pin!(measured_body(&registry, response).await);
    body.frame().await;
    assert_eq!(in_progress(&registry), Some(1.0));
    body.frame().await;
    assert_completed_with_200(&registry);
}

#[tokio::test]
async fn body_ends_when_content_length_is_exceeded() {
    let registry = Registry::new();
    let response = with_length(2, ScriptedBody::stream(&["abc", "d"]));
    let mut body = pin!(measured_body(&registry, response).await);
    body.frame().await;
    assert_completed_with_200(&registry);
}

#[tokio::test]
async fn body_ends_when_its_exact_size_is_reached() {
    let registry = Registry::new();
    let mut body = ScriptedBody::stream(&["a", "b"]);
    body.exact_size = Some(2);
    let mut body = pin!(measured_body(&registry, Response::new(body)).await);
    body.frame().await;
    body.frame().await;
    assert_completed_with_200(&registry);
}

#[tokio::test]
async fn body_ends_with_trailers() {
    let registry = Registry::new();
    let body = ScriptedBody::new([Step::Data("a"), Step::Trailers]);
    let mut body = pin!(measured_body(&registry, Response::new(body)).await);
    body.frame().await;
    body.frame().await;
    assert_completed_with_200(&registry);
}

#[tokio::test]
async fn responses_to_head_and_status_204_and_304_end_at_the_response_head() {
    for (method, status) in [("HEAD", 200), ("GET", 204), ("GET", 304)] {
        let registry = Registry::new();
        let response = with_status(status, ScriptedBody::stream(&["never sent"]));
        drop(measured_response(&registry, method, response).await);
        assert_eq!(requests_with_status(&registry, &status.to_string()), 1.0);
        assert_eq!(aborted_bodies(&registry, "dropped"), 0.0);
        assert_requests_ended(&registry, 1);
    }
}

#[tokio::test]
async fn body_that_is_polled_after_its_end_is_counted_once() {
    let registry = Registry::new();
    let response = Response::new(ScriptedBody::full("hello"));
    let body = measured_body(&registry, response).await;
    let collected = body.collect().await;
    assert_eq!(collected.ok().unwrap().to_bytes(), "hello");
    assert_completed_with_200(&registry);
}

#[tokio::test]
async fn failed_body_is_aborted() {
    let registry = Registry::new();
    let body = ScriptedBody::new([Step::Data("a"), Step::Error]);
    let body = measured_body(&registry, Response::new(body)).await;
    assert!(body.collect().await.is_err());
    assert_eq!(requests_with_status(&registry, "200"), 1.0);
    assert_eq!(aborted_bodies(&registry, "error"), 1.0);
    assert_eq!(aborted_bodies(&registry, "dropped"), 0.0);
    assert_requests_ended(&registry, 1);
}

#[tokio::test]
async fn body_dropped_before_its_end_is_aborted() {
    let responses = [
        Response::new(ScriptedBody::stream(&["a", "b"])),
        with_length(2, ScriptedBody::stream(&["a", "b"])),
    ];
    for response in responses {
        let registry = Registry::new();
        let mut body = Box::pin(measured_body(&registry, response).await);
        body.frame().await;
        drop(body);
        assert_eq!(requests_with_status(&registry, "200"), 1.0);
        assert_eq!(aborted_bodies(&registry, "dropped"), 1.0);
        assert_requests_ended(&registry, 1);
    }
}

#[tokio::test]
async fn panic_of_a_body_is_aborted_and_propagates() {
    let registry = Registry::new();
    let body = ScriptedBody::new([Step::Data("a"), Step::Panic]);
    let mut body = Box::pin(measured_body(&registry, Response::new(body)).await);
    body.frame().await;
    let mut frame = pin!(body.frame());
    assert!(catch_unwind(AssertUnwindSafe(|| poll_once(frame.as_mut()))).is_err());
    // Counted when the body panics, not when it is dropped.
    assert_eq!(requests_with_status(&registry, "200"), 1.0);
    assert_eq!(aborted_bodies(&registry, "panicked"), 1.0);
    drop(body);
    assert_requests_ended(&registry, 1);
}

#[tokio::test]
async fn error_of_the_service_has_status_error_and_is_returned_unchanged() {
    #[derive(Debug, PartialEq)]
    struct NotAnError;
    let registry = Registry::new();
    let fails = service_fn(|_: Request<()>| future::ready(Err::<ServiceResponse, _>(NotAnError)));
    let result = registry
        .http_layer()
        .layer(fails)
        .oneshot(request("GET"))
        .await;
    assert_eq!(result.err(), Some(NotAnError));
    assert_eq!(requests_with_status(&registry, "error"), 1.0);
    assert_requests_ended(&registry, 1);
}

#[tokio::test]
async fn request_dropped_before_its_response_has_status_cancelled() {
    let registry = Registry::new();
    let hangs = service_fn(|_: Request<()>| future::pending::<Result<ServiceResponse, ()>>());
    let mut service = registry.http_layer().layer(hangs);

    let never_polled = service.call(request("GET"));
    drop(never_polled);
    assert_requests_ended(&registry, 1);

    let mut polled = Box::pin(service.call(request("GET")));
    assert!(poll_once(polled.as_mut()).is_pending());
    assert_eq!(in_progress(&registry), Some(1.0));
    drop(polled);
    assert_eq!(requests_with_status(&registry, "cancelled"), 2.0);
    assert_requests_ended(&registry, 2);
}

#[tokio::test]
async fn panic_in_call_has_status_panicked_and_propagates() {
    let registry = Registry::new();
    let panics = service_fn(
        |_: Request<()>| -> future::Ready<Result<ServiceResponse, ()>> { panic!("in call") },
    );
    let mut service = registry.http_layer().layer(panics);
    let panicked = catch_unwind(AssertUnwindSafe(|| drop(service.call(request("GET")))));
    assert!(panicked.is_err());
    assert_eq!(requests_with_status(&registry, "panicked"), 1.0);
    assert_requests_ended(&registry, 1);
}

#[tokio::test]
async fn panic_in_poll_has_status_panicked_at_once_and_not_cancelled() {
    let registry = Registry::new();
    let panics =
        service_fn(async |_: Request<()>| -> Result<ServiceResponse, ()> { panic!("in poll") });
    let mut service = registry.http_layer().layer(panics);
    let mut future = Box::pin(service.call(request("GET")));
    assert!(catch_unwind(AssertUnwindSafe(|| poll_once(future.as_mut()))).is_err());
    assert_eq!(requests_with_status(&registry, "panicked"), 1.0);
    drop(future);
    assert_eq!(requests_with_status(&registry, "cancelled"), 0.0);
    assert_requests_ended(&registry, 1);
}

/// For example in a destructor during unwinding: `std::thread::panicking()` is true, but the request does not panic.
#[tokio::test]
async fn request_served_while_its_thread_unwinds_is_not_panicked() {
    struct ServesOnDrop(Registry);
    impl Drop for ServesOnDrop {
        fn drop(&mut self) {
            let service = service_fn(async |_: Request<()>| {
                Ok::<_, ()>(Response::new(ScriptedBody::full("")))
            });
            let mut service = self.0.http_layer().layer(service);
            let mut future = pin!(service.call(request("GET")));
            assert!(poll_once(future.as_mut()).is_ready());
        }
    }
    let registry = Registry::new();
    let serves = ServesOnDrop(registry.clone());
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        let _serves = serves;
        panic!("not in a request")
    }));
    assert!(panicked.is_err());
    assert_completed_with_200(&registry);
}

#[tokio::test]
async fn each_status_code_is_a_label_value() {
    let registry = Registry::new();
    let codes = [200, 201, 301, 404, 418, 500, 503, 599, 999];
    for code in codes {
        let response = with_status(code, ScriptedBody::full(""));
        drop(measured_response(&registry, "GET", response).await);
    }
    for code in codes {
        assert_eq!(
            requests_with_status(&registry, &code.to_string()),
            1.0,
            "{code}"
        );
    }
    assert_requests_ended(&registry, codes.len() as u64);
}

#[tokio::test]
async fn response_with_content_length_0_ends_at_the_response_head() {
    let registry = Registry::new();
    let response = Response::builder().header("content-length", "0");
    drop(
        measured_response(
            &registry,
            "GET",
            response.body(ScriptedBody::stream(&[])).unwrap(),
        )
        .await,
    );
    assert_one_request_completed(&registry);
}

#[tokio::test]
async fn informational_response_ends_at_the_response_head() {
    let registry = Registry::new();
    let response = Response::builder().status(103);
    drop(
        measured_response(
            &registry,
            "GET",
            response
                .body(ScriptedBody::stream(&["never sent"]))
                .unwrap(),
        )
        .await,
    );
    assert_one_request_completed(&registry);
}

#[tokio::test]
async fn body_of_unknown_size_ends_when_it_reports_end_of_stream() {
    let registry = Registry::new();
    let mut body = ScriptedBody::stream(&["a"]);
    body.reports_end_of_stream = true;
    let mut body = pin!(measured_body(&registry, Response::new(body)).await);
    body.frame().await;
    assert_one_request_completed(&registry);
}
