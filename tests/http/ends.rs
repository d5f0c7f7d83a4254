//! Every way a request can end, by direct calls: exactly once each.

use std::future::{self, Future};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use http::{Request, Response};
use http_body_util::BodyExt;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_prometheus::Registry;

use test_support::body::{ScriptedBody, Step};
use test_support::service::measured_response;
use test_support::{
    aborted_bodies, assert_one_request_completed, assert_requests_ended, requests_with_status,
};

type Answer = Response<ScriptedBody>;

fn request(method: &str) -> Request<()> {
    Request::builder().method(method).body(()).unwrap()
}

fn with_status(status: u16, body: ScriptedBody) -> Answer {
    Response::builder().status(status).body(body).unwrap()
}

fn with_length(length: u64, body: ScriptedBody) -> Answer {
    let response = Response::builder().header("content-length", length);
    response.body(body).unwrap()
}

fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn in_progress(registry: &Registry) -> Option<f64> {
    registry.sum("http_requests_in_progress", &[])
}

fn completed(registry: &Registry) {
    assert_eq!(requests_with_status(registry, "200"), 1.0);
    assert_one_request_completed(registry);
}

#[tokio::test]
async fn a_body_ends_with_none() {
    let registry = Registry::new();
    let response = Response::new(ScriptedBody::stream(&["a", "b"]));
    let mut body = pin!(
        measured_response(&registry, "GET", response)
            .await
            .into_body()
    );
    for expected in [1.0, 1.0] {
        assert!(body.frame().await.is_some());
        assert_eq!(in_progress(&registry), Some(expected));
    }
    assert!(body.frame().await.is_none());
    completed(&registry);
}

#[tokio::test]
async fn a_body_of_known_length_ends_with_its_only_frame() {
    let registry = Registry::new();
    let response =
        measured_response(&registry, "GET", Response::new(ScriptedBody::full("hello"))).await;
    assert_eq!(in_progress(&registry), Some(1.0));
    let mut body = pin!(response.into_body());
    body.frame().await;
    completed(&registry);
}

#[tokio::test]
async fn an_empty_body_ends_at_the_head() {
    let registry = Registry::new();
    let _unpolled =
        measured_response(&registry, "GET", Response::new(ScriptedBody::full(""))).await;
    completed(&registry);
}

#[tokio::test]
async fn a_body_ends_when_content_length_is_reached() {
    let registry = Registry::new();
    let response = with_length(2, ScriptedBody::stream(&["a", "b"]));
    let mut body = pin!(
        measured_response(&registry, "GET", response)
            .await
            .into_body()
    );
    body.frame().await;
    assert_eq!(in_progress(&registry), Some(1.0));
    body.frame().await;
    completed(&registry);
}

#[tokio::test]
async fn a_body_ends_when_content_length_is_passed() {
    let registry = Registry::new();
    let response = with_length(2, ScriptedBody::stream(&["abc", "d"]));
    let mut body = pin!(
        measured_response(&registry, "GET", response)
            .await
            .into_body()
    );
    body.frame().await;
    completed(&registry);
}

#[tokio::test]
async fn a_body_ends_when_its_exact_size_is_reached() {
    let registry = Registry::new();
    let mut body = ScriptedBody::stream(&["a", "b"]);
    body.exact_size = Some(2);
    let mut body = pin!(
        measured_response(&registry, "GET", Response::new(body))
            .await
            .into_body()
    );
    body.frame().await;
    body.frame().await;
    completed(&registry);
}

#[tokio::test]
async fn a_body_ends_with_trailers() {
    let registry = Registry::new();
    let body = ScriptedBody::new([Step::Data("a"), Step::Trailers]);
    let mut body = pin!(
        measured_response(&registry, "GET", Response::new(body))
            .await
            .into_body()
    );
    body.frame().await;
    body.frame().await;
    completed(&registry);
}

#[tokio::test]
async fn responses_without_a_body_end_at_the_head() {
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
async fn a_body_that_is_polled_on_after_its_end_counts_once() {
    let registry = Registry::new();
    let response = Response::new(ScriptedBody::full("hello"));
    let body = measured_response(&registry, "GET", response)
        .await
        .into_body();
    let collected = body.collect().await;
    assert_eq!(collected.ok().unwrap().to_bytes(), "hello");
    completed(&registry);
}

#[tokio::test]
async fn a_body_that_fails_is_aborted() {
    let registry = Registry::new();
    let body = ScriptedBody::new([Step::Data("a"), Step::Error]);
    let body = measured_response(&registry, "GET", Response::new(body))
        .await
        .into_body();
    assert!(body.collect().await.is_err());
    assert_eq!(requests_with_status(&registry, "200"), 1.0);
    assert_eq!(aborted_bodies(&registry, "error"), 1.0);
    assert_eq!(aborted_bodies(&registry, "dropped"), 0.0);
    assert_requests_ended(&registry, 1);
}

#[tokio::test]
async fn a_body_that_is_dropped_half_way_is_aborted() {
    let pieces = [
        Response::new(ScriptedBody::stream(&["a", "b"])),
        with_length(2, ScriptedBody::stream(&["a", "b"])),
    ];
    for response in pieces {
        let registry = Registry::new();
        let mut body = Box::pin(
            measured_response(&registry, "GET", response)
                .await
                .into_body(),
        );
        body.frame().await;
        drop(body);
        assert_eq!(requests_with_status(&registry, "200"), 1.0);
        assert_eq!(aborted_bodies(&registry, "dropped"), 1.0);
        assert_requests_ended(&registry, 1);
    }
}

#[tokio::test]
async fn a_body_that_panics_is_aborted_and_the_panic_goes_on() {
    let registry = Registry::new();
    let body = ScriptedBody::new([Step::Data("a"), Step::Panic]);
    let mut body = Box::pin(
        measured_response(&registry, "GET", Response::new(body))
            .await
            .into_body(),
    );
    body.frame().await;
    let mut frame = pin!(body.frame());
    assert!(catch_unwind(AssertUnwindSafe(|| poll_once(frame.as_mut()))).is_err());
    // Counted when it happened, not when the remains are dropped.
    assert_eq!(requests_with_status(&registry, "200"), 1.0);
    assert_eq!(aborted_bodies(&registry, "panicked"), 1.0);
    drop(body);
    assert_requests_ended(&registry, 1);
}

#[tokio::test]
async fn an_error_of_the_service_counts_as_error_and_is_passed_on() {
    #[derive(Debug, PartialEq)]
    struct NotEvenAnError;
    let registry = Registry::new();
    let fails = service_fn(|_: Request<()>| future::ready(Err::<Answer, _>(NotEvenAnError)));
    let result = registry
        .http_layer()
        .layer(fails)
        .oneshot(request("GET"))
        .await;
    assert_eq!(result.err(), Some(NotEvenAnError));
    assert_eq!(requests_with_status(&registry, "error"), 1.0);
    assert_requests_ended(&registry, 1);
}

#[tokio::test]
async fn a_future_dropped_before_the_response_counts_as_cancelled() {
    let registry = Registry::new();
    let hangs = service_fn(|_: Request<()>| future::pending::<Result<Answer, ()>>());
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
async fn a_panic_in_call_counts_as_panicked_and_goes_on() {
    let registry = Registry::new();
    let panics =
        service_fn(|_: Request<()>| -> future::Ready<Result<Answer, ()>> { panic!("in call") });
    let mut service = registry.http_layer().layer(panics);
    let panicked = catch_unwind(AssertUnwindSafe(|| drop(service.call(request("GET")))));
    assert!(panicked.is_err());
    assert_eq!(requests_with_status(&registry, "panicked"), 1.0);
    assert_requests_ended(&registry, 1);
}

#[tokio::test]
async fn a_panic_in_poll_counts_as_panicked_when_it_happens() {
    let registry = Registry::new();
    let panics = service_fn(async |_: Request<()>| -> Result<Answer, ()> { panic!("in poll") });
    let mut service = registry.http_layer().layer(panics);
    let mut future = Box::pin(service.call(request("GET")));
    assert!(catch_unwind(AssertUnwindSafe(|| poll_once(future.as_mut()))).is_err());
    assert_eq!(requests_with_status(&registry, "panicked"), 1.0);
    drop(future);
    assert_eq!(requests_with_status(&registry, "cancelled"), 0.0);
    assert_requests_ended(&registry, 1);
}

/// A destructor that runs while its thread panics may well serve a request that does not.
#[tokio::test]
async fn a_request_served_while_its_thread_panics_is_no_panic() {
    struct Serves(Registry);
    impl Drop for Serves {
        fn drop(&mut self) {
            let fine = service_fn(async |_: Request<()>| {
                Ok::<_, ()>(Response::new(ScriptedBody::full("")))
            });
            let mut service = self.0.http_layer().layer(fine);
            let mut future = pin!(service.call(request("GET")));
            assert!(poll_once(future.as_mut()).is_ready());
        }
    }
    let registry = Registry::new();
    let serves = Serves(registry.clone());
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        let _serves = serves;
        panic!("elsewhere")
    }));
    assert!(panicked.is_err());
    completed(&registry);
}

#[tokio::test]
async fn every_code_has_its_own_status() {
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
