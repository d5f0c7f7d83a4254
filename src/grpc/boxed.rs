//! [`GrpcBoxedLayer`]: for services that take one type of request body only.

use std::fmt;
use std::task::{Context, Poll};

use http::Request;
use tower_layer::Layer;
use tower_service::Service;

use super::{GrpcMetricsLayer, GrpcMetricsService, GrpcRequestBody};

/// A [`GrpcMetricsLayer`] around services that take one type of request body; see
/// [`GrpcMetricsLayer::boxed_by`].
#[derive(Clone, Copy)]
pub struct GrpcBoxedLayer<F> {
    metrics: GrpcMetricsLayer,
    boxed: F,
}

impl<F> GrpcBoxedLayer<F> {
    pub(super) fn new(metrics: GrpcMetricsLayer, boxed: F) -> Self {
        Self { metrics, boxed }
    }
}

impl<S, F: Clone> Layer<S> for GrpcBoxedLayer<F> {
    type Service = GrpcMetricsService<GrpcBoxedService<S, F>>;

    fn layer(&self, inner: S) -> Self::Service {
        let boxed = self.boxed.clone();
        self.metrics.layer(GrpcBoxedService { inner, boxed })
    }
}

/// Gives the measured body of a request the type that the inner service takes.
#[derive(Clone, Copy)]
pub struct GrpcBoxedService<S, F> {
    inner: S,
    boxed: F,
}

impl<S, F, ReqBody, Boxed> Service<Request<GrpcRequestBody<ReqBody>>> for GrpcBoxedService<S, F>
where
    S: Service<Request<Boxed>>,
    F: Fn(GrpcRequestBody<ReqBody>) -> Boxed,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<GrpcRequestBody<ReqBody>>) -> Self::Future {
        self.inner.call(request.map(&self.boxed))
    }
}

impl<F> fmt::Debug for GrpcBoxedLayer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { metrics, boxed: _ } = self;
        f.debug_struct("GrpcBoxedLayer")
            .field("metrics", metrics)
            .finish_non_exhaustive()
    }
}

impl<S: fmt::Debug, F> fmt::Debug for GrpcBoxedService<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inner, boxed: _ } = self;
        f.debug_struct("GrpcBoxedService")
            .field("inner", inner)
            .finish_non_exhaustive()
    }
}
