//! A minimal service, and a function that sends requests to it.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use tower::Service;
use tower_prometheus::http::Endpoint;

/// A service that answers at once, with a body of known length.
#[derive(Clone, Copy)]
pub struct Hello;

impl Service<Request<()>> for Hello {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(Response::new(Full::new(Bytes::from_static(b"hello")))))
    }
}

/// Sends a request to an endpoint and reads the response body to its end. Clones the service for each request, as axum
/// does.
pub fn send<S, B>(service: &S, endpoint: &'static str)
where
    S: Service<Request<()>, Response = Response<B>> + Clone,
    B: Body,
{
    send_to(service, Endpoint::from_static(endpoint));
}

#[inline]
pub fn send_to<S, B>(service: &S, endpoint: Endpoint)
where
    S: Service<Request<()>, Response = Response<B>> + Clone,
    B: Body,
{
    let mut request = Request::new(());
    request.extensions_mut().insert(endpoint);
    send_request(service, request);
}

/// Sends a request and reads the response body to its end.
#[inline]
pub fn send_request<S, B>(service: &S, request: Request<()>)
where
    S: Service<Request<()>, Response = Response<B>> + Clone,
    B: Body,
{
    let cx = &mut Context::from_waker(Waker::noop());
    let mut service = service.clone();
    let future = pin!(service.call(request));
    let Poll::Ready(Ok(response)) = future.poll(cx) else {
        panic!("the service is always ready");
    };
    let mut body = pin!(response.into_body());
    while let Poll::Ready(Some(frame)) = body.as_mut().poll_frame(cx) {
        std::hint::black_box(frame.is_ok());
        if body.is_end_stream() {
            break;
        }
    }
}
