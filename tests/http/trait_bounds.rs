//! The layer requires no `Send`, `Clone` or `Error` of services, bodies and errors, and forwards readiness.

use std::future::{Ready, ready};
use std::rc::Rc;
use std::task::{Context, Poll};

use self::readiness::Readiness;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, Service, ServiceExt};
use tower_prometheus::{HttpMetricsLayer, MetricsHandler, Registry};

use test_support::assert_requests_ended;

/// A request body that is neither `Body`, `Send` nor `Clone`.
struct UnboundedBody(Rc<()>);

/// An error that is neither `Error` nor `Debug`.
struct UnboundedError;

/// A service that is neither `Clone` nor `Send`.
struct UnboundedService(Rc<()>);

impl Service<Request<UnboundedBody>> for UnboundedService {
    type Response = Response<Full<Bytes>>;
    type Error = UnboundedError;
    type Future = Ready<Result<Self::Response, UnboundedError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), UnboundedError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<UnboundedBody>) -> Self::Future {
        assert_eq!(Rc::strong_count(&request.into_body().0), 1);
        assert_eq!(Rc::strong_count(&self.0), 1);
        ready(Ok(Response::new(Full::default())))
    }
}

#[tokio::test]
async fn service_needs_no_send_clone_or_error_bounds() {
    let registry = Registry::new();
    let service = registry.http_layer().layer(UnboundedService(Rc::new(())));
    let request = Request::new(UnboundedBody(Rc::new(())));
    assert!(service.oneshot(request).await.is_ok());
    assert_requests_ended(&registry, 1);
}

mod readiness {
    use super::{Context, Poll, Ready, Request, Response, Service, ready};

    /// A service that is pending, then ready, then fails.
    #[derive(Default)]
    pub(super) struct Readiness {
        polls: u32,
    }

    impl Service<Request<()>> for Readiness {
        type Response = Response<String>;
        type Error = &'static str;
        type Future = Ready<Result<Self::Response, Self::Error>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
            self.polls += 1;
            match self.polls {
                1 => Poll::Pending,
                2 => Poll::Ready(Ok(())),
                _ => Poll::Ready(Err("closed")),
            }
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            ready(Err("the test does not call the service"))
        }
    }
}

#[test]
fn readiness_of_the_inner_service_is_forwarded() {
    let registry = Registry::new();
    let mut service = registry.http_layer().layer(Readiness::default());
    let cx = &mut Context::from_waker(std::task::Waker::noop());
    let mut poll = || Service::<Request<()>>::poll_ready(&mut service, cx);
    assert_eq!(poll(), Poll::Pending);
    assert_eq!(poll(), Poll::Ready(Ok(())));
    assert_eq!(poll(), Poll::Ready(Err("closed")));
    assert_requests_ended(&registry, 0);
}

#[test]
fn registry_layer_handler_and_sink_are_clone_send_and_sync() {
    fn assert_shareable<T: Clone + Send + Sync + 'static>() {}
    assert_shareable::<Registry>();
    assert_shareable::<HttpMetricsLayer>();
    assert_shareable::<MetricsHandler>();
    assert_shareable::<tower_prometheus::Sink>();
}
