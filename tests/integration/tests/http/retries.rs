//! Retries of tower around a measured client: they drop the bodies of the responses that they retry.

use std::future::Ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tower::retry::{Policy, RetryLayer};
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_prometheus::Registry;

use test_support::page;
use test_support::server::Server;

/// The number of responses with 503 before one with 200.
const RETRIES: u64 = 8;

/// Retries responses with 503, and drops their bodies unread.
#[derive(Clone)]
pub(crate) struct RetryUnavailable;

impl<B, E> Policy<Request<Empty<Bytes>>, Response<B>, E> for RetryUnavailable {
    type Future = Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<Empty<Bytes>>,
        result: &mut Result<Response<B>, E>,
    ) -> Option<Ready<()>> {
        let response = result.as_ref().ok()?;
        let is_retried = response.status() == StatusCode::SERVICE_UNAVAILABLE;
        is_retried.then(|| std::future::ready(()))
    }

    fn clone_request(&mut self, request: &Request<Empty<Bytes>>) -> Option<Request<Empty<Bytes>>> {
        Some(request.clone())
    }
}

/// Starts a server that is unavailable for the first requests.
async fn serve() -> Server {
    let requests = Arc::new(AtomicU64::new(0));
    let answer = async move || match requests.fetch_add(1, Ordering::SeqCst) {
        0..RETRIES => (StatusCode::SERVICE_UNAVAILABLE, "try again").into_response(),
        _ => "hello".into_response(),
    };
    Server::start(Router::new().route("/", get(answer))).await
}

fn aborted(registry: &Registry, labels: &[(&str, &str)]) -> Option<f64> {
    registry.sum("http_client_response_bodies_aborted_total", labels)
}

#[tokio::test]
async fn bodies_that_retries_drop_unread_have_the_reason_unread() {
    for http2 in [false, true] {
        let (registry, server) = (Registry::new(), serve().await);
        let client = Client::builder(TokioExecutor::new())
            .http2_only(http2)
            .build_http::<Empty<Bytes>>();
        let mut client = ServiceBuilder::new()
            .layer(RetryLayer::new(RetryUnavailable))
            .layer(registry.http_client_layer())
            .service(client);
        let request = Request::get(server.url("/")).body(Empty::new()).unwrap();
        let response = client.ready().await.unwrap().call(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.into_body().collect().await.unwrap();
        let requests = |status| registry.sum("http_client_requests_total", &[("status", status)]);
        assert_eq!(requests("503"), Some(RETRIES as f64));
        assert_eq!(requests("200"), Some(1.0));
        let unread = aborted(&registry, &[("reason", "unread")]);
        assert_eq!(unread, Some(RETRIES as f64));
        assert_eq!(aborted(&registry, &[]), unread, "other reasons");
        let in_progress = registry.sum("http_client_requests_in_progress", &[]);
        assert_eq!(in_progress, Some(0.0));
        page::assert_valid_text(&registry.render());
    }
}

#[tokio::test]
async fn body_that_a_client_drops_after_a_poll_has_the_reason_dropped() {
    for http2 in [false, true] {
        let registry = Registry::new();
        let endless = async || {
            let chunks = futures_util::stream::repeat_with(|| {
                Ok::<_, std::convert::Infallible>(Bytes::from_static(&[0; 1024]))
            });
            axum::body::Body::from_stream(chunks)
        };
        let server = Server::start(Router::new().route("/", get(endless))).await;
        let client = Client::builder(TokioExecutor::new())
            .http2_only(http2)
            .build_http::<Empty<Bytes>>();
        let client = ServiceBuilder::new()
            .layer(registry.http_client_layer())
            .service(client);
        let request = Request::get(server.url("/")).body(Empty::new()).unwrap();
        let response = client.oneshot(request).await.unwrap();
        let mut body = response.into_body();
        body.frame().await.unwrap().unwrap();
        drop(body);
        assert_eq!(aborted(&registry, &[("reason", "dropped")]), Some(1.0));
        assert_eq!(aborted(&registry, &[]), Some(1.0));
    }
}
