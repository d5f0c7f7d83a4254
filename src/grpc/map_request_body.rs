//! [`MapRequestBodyLayer`]: a gRPC layer for services that accept only one type of request body.

use std::fmt;
use std::task::{Context, Poll};

use http::Request;
use tower_layer::Layer;
use tower_service::Service;

use crate::grpc::body::GrpcRequestBody;
use crate::grpc::layer::GrpcMetricsLayer;
use crate::grpc::service::GrpcMetricsService;

/// A [`GrpcMetricsLayer`] for services that accept only one type of request body, such as tonic's `Channel`.
///
/// [`GrpcMetricsLayer::map_request_body`] creates it.
#[derive(Clone, Copy)]
pub struct MapRequestBodyLayer<F> {
    metrics: GrpcMetricsLayer,
    boxed: F,
}

impl GrpcMetricsLayer {
    /// Returns the layer for a service that accepts only one type of request body, such as tonic's `Channel`.
    ///
    /// `boxed` converts the measured body to that type. It is called for every request.
    ///
    // Compiled in `tests/integration`, which depends on tonic.
    #[cfg_attr(not(doctest), doc = include_str!("tonic_client.md"))]
    #[must_use = "a layer does nothing until it wraps a service"]
    pub fn map_request_body<F>(self, boxed: F) -> MapRequestBodyLayer<F> {
        MapRequestBodyLayer::new(self, boxed)
    }
}

impl<F> MapRequestBodyLayer<F> {
    pub(crate) fn new(metrics: GrpcMetricsLayer, boxed: F) -> Self {
        Self { metrics, boxed }
    }
}

impl<S, F: Clone> Layer<S> for MapRequestBodyLayer<F> {
    type Service = GrpcMetricsService<MapRequestBodyService<S, F>>;

    fn layer(&self, inner: S) -> Self::Service {
        let boxed = self.boxed.clone();
        self.metrics.layer(MapRequestBodyService { inner, boxed })
    }
}

/// The service of a [`MapRequestBodyLayer`]: converts the request body to the type that the inner service
/// accepts.
#[derive(Clone, Copy)]
pub struct MapRequestBodyService<S, F> {
    inner: S,
    boxed: F,
}

impl<S, F, ReqBody, Boxed> Service<Request<GrpcRequestBody<ReqBody>>>
    for MapRequestBodyService<S, F>
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

impl<F> fmt::Debug for MapRequestBodyLayer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { metrics, boxed: _ } = self;
        f.debug_struct("MapRequestBodyLayer")
            .field("metrics", metrics)
            .finish_non_exhaustive()
    }
}

impl<S: fmt::Debug, F> fmt::Debug for MapRequestBodyService<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inner, boxed: _ } = self;
        f.debug_struct("MapRequestBodyService")
            .field("inner", inner)
            .finish_non_exhaustive()
    }
}
