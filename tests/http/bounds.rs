//! What the layer does not ask for: no `Send`, no `Clone`, no bound on the error; and what it passes on.

use std::future::{Ready, ready};
use std::rc::Rc;
use std::task::{Context, Poll};

use self::gate::Gate;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, Service, ServiceExt};
use tower_prometheus::{HttpMetricsLayer, MetricsHandler, Registry};

use test_support::assert_requests_ended;

/// A request body that is neither `Body`, `Send` nor `Clone`.
struct OddRequestBody(Rc<()>);

/// Neither an `Error` nor even `Debug`.
struct OddError;

/// Neither `Clone` nor `Send`.
struct OddService(Rc<()>);

impl Service<Request<OddRequestBody>> for OddService {
    type Response = Response<Full<Bytes>>;
    type Error = OddError;
    type Future = Ready<Result<Self::Response, OddError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), OddError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<OddRequestBody>) -> Self::Future {
        assert_eq!(Rc::strong_count(&request.into_body().0), 1);
        assert_eq!(Rc::strong_count(&self.0), 1);
        ready(Ok(Response::new(Full::default())))
    }
}

#[tokio::test]
async fn nothing_is_asked_of_the_service() {
    let registry = Registry::new();
    let service = registry.http_layer().layer(OddService(Rc::new(())));
    let request = Request::new(OddRequestBody(Rc::new(())));
    assert!(service.oneshot(request).await.is_ok());
    assert_requests_ended(&registry, 1);
}

/// Readiness belongs to the inner service: what it says is passed on, and no request is counted.
mod gate {
    use super::{Context, Poll, Ready, Request, Response, Service, ready};

    #[derive(Default)]
    pub(super) struct Gate {
        asked: u32,
    }

    impl Service<Request<()>> for Gate {
        type Response = Response<String>;
        type Error = &'static str;
        type Future = Ready<Result<Self::Response, Self::Error>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
            self.asked += 1;
            match self.asked {
                1 => Poll::Pending,
                2 => Poll::Ready(Ok(())),
                _ => Poll::Ready(Err("closed")),
            }
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            ready(Err("not called here"))
        }
    }
}

#[test]
fn readiness_is_passed_through() {
    let registry = Registry::new();
    let mut service = registry.http_layer().layer(Gate::default());
    let cx = &mut Context::from_waker(std::task::Waker::noop());
    let mut poll = || Service::<Request<()>>::poll_ready(&mut service, cx);
    assert_eq!(poll(), Poll::Pending);
    assert_eq!(poll(), Poll::Ready(Ok(())));
    assert_eq!(poll(), Poll::Ready(Err("closed")));
    assert_requests_ended(&registry, 0);
}

#[test]
fn what_is_shared_between_threads_can_be() {
    fn assert_shareable<T: Clone + Send + Sync + 'static>() {}
    assert_shareable::<Registry>();
    assert_shareable::<HttpMetricsLayer>();
    assert_shareable::<MetricsHandler>();
    assert_shareable::<tower_prometheus::Sink>();
}
