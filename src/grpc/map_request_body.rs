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
pub struct MapRequestBodyLayer<B, Mapped = B> {
    metrics: GrpcMetricsLayer,
    map: fn(GrpcRequestBody<B>) -> Mapped,
}

impl GrpcMetricsLayer {
    /// Returns the layer for a service that accepts only one type of request body, such as tonic's `Channel`.
    ///
    /// `map` converts the measured body to that type. It is called for every request. It is a function pointer, so
    /// that the type of the client can be written down; a closure that captures nothing is accepted, too. Interceptors
    /// of the client go outside: what they reject is not counted.
    ///
    // Compiled in `tests/integration`, which depends on tonic.
    #[cfg_attr(not(doctest), doc = include_str!("tonic_client.md"))]
    #[must_use = "a layer does nothing until it wraps a service"]
    pub fn map_request_body<B, Mapped>(
        self,
        map: fn(GrpcRequestBody<B>) -> Mapped,
    ) -> MapRequestBodyLayer<B, Mapped> {
        let metrics = self;
        MapRequestBodyLayer { metrics, map }
    }
}

impl<S, B, Mapped> Layer<S> for MapRequestBodyLayer<B, Mapped> {
    type Service = GrpcMetricsService<MapRequestBodyService<S, B, Mapped>>;

    fn layer(&self, inner: S) -> Self::Service {
        let map = self.map;
        self.metrics.layer(MapRequestBodyService { inner, map })
    }
}

/// The service of a [`MapRequestBodyLayer`]: converts the request body to the type that the inner service
/// accepts.
///
/// `B` is the request body of the client, `Mapped` the one that the inner service `S` accepts. With tonic, both are
/// `tonic::body::Body`.
pub struct MapRequestBodyService<S, B, Mapped = B> {
    inner: S,
    map: fn(GrpcRequestBody<B>) -> Mapped,
}

impl<S, B, Mapped> Service<Request<GrpcRequestBody<B>>> for MapRequestBodyService<S, B, Mapped>
where
    S: Service<Request<Mapped>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<GrpcRequestBody<B>>) -> Self::Future {
        self.inner.call(request.map(self.map))
    }
}

// Not derived: the bodies need not be `Clone`.

impl<B, Mapped> Clone for MapRequestBodyLayer<B, Mapped> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B, Mapped> Copy for MapRequestBodyLayer<B, Mapped> {}

impl<S: Clone, B, Mapped> Clone for MapRequestBodyService<S, B, Mapped> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            map: self.map,
        }
    }
}

impl<B, Mapped> fmt::Debug for MapRequestBodyLayer<B, Mapped> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { metrics, map: _ } = self;
        f.debug_struct("MapRequestBodyLayer")
            .field("metrics", metrics)
            .finish_non_exhaustive()
    }
}

impl<S: fmt::Debug, B, Mapped> fmt::Debug for MapRequestBodyService<S, B, Mapped> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inner, map: _ } = self;
        f.debug_struct("MapRequestBodyService")
            .field("inner", inner)
            .finish_non_exhaustive()
    }
}
