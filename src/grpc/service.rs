//! [`GrpcMetricsService`]: starts a call for each gRPC request.

use std::fmt;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::grpc::body::{GrpcRequestBody, GrpcResponseBody};
use crate::grpc::call::GrpcCall;
use crate::grpc::future::GrpcResponseFuture;
use crate::grpc::series::GrpcSeries;
use crate::lifecycle::panic_guard::PanicGuard;

/// The service of a [`GrpcMetricsLayer`](super::GrpcMetricsLayer): measures the calls of its inner service.
///
/// The inner service takes an `http::Request` with a [`GrpcRequestBody`] and returns an `http::Response` with
/// any body; it needs no `Send` or `Clone`, and its error can be of any type. `poll_ready` is forwarded; its
/// errors are not calls and are not counted.
#[derive(Clone)]
pub struct GrpcMetricsService<S> {
    inner: S,
    series: &'static GrpcSeries,
}

impl<S> GrpcMetricsService<S> {
    pub(crate) fn new(inner: S, series: &'static GrpcSeries) -> Self {
        Self { inner, series }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for GrpcMetricsService<S>
where
    S: Service<Request<GrpcRequestBody<ReqBody>>, Response = Response<ResBody>>,
    ResBody: Body,
{
    type Response = Response<GrpcResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = GrpcResponseFuture<S::Future>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let (mut call, messages) = GrpcCall::start(self.series, &request);
        let request = request.map(|body| GrpcRequestBody::new(body, messages));
        let guard = PanicGuard::new(&mut call);
        let future = self.inner.call(request);
        guard.defuse();
        GrpcResponseFuture::new(future, call)
    }
}

impl<S: fmt::Debug> fmt::Debug for GrpcMetricsService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inner, series: _ } = self;
        f.debug_struct("GrpcMetricsService")
            .field("inner", inner)
            .finish_non_exhaustive()
    }
}
