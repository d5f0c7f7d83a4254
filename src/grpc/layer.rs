//! [`GrpcMetricsLayer`]: a checked configuration, ready to wrap services.

use std::fmt;

use tower_layer::Layer;

use crate::grpc::map_request_body::MapRequestBodyLayer;
use crate::grpc::series::GrpcSeries;
use crate::grpc::service::GrpcMetricsService;

/// Measures the gRPC service, or the gRPC client, it is put around.
///
/// Made by [`GrpcMetrics::build`](crate::GrpcMetrics::build), or with the default configuration by
/// [`Registry::grpc_layer`](crate::Registry::grpc_layer) and
/// [`Registry::grpc_client_layer`](crate::Registry::grpc_client_layer). What it records, and how every way a call can
/// end is counted, is in the [module's documentation](super).
///
/// Its table of methods lives as long as the program: cloning the layer or its services costs nothing, and
/// no two cores share a reference count. The same configuration on the same registry is the same table.
#[derive(Clone, Copy)]
pub struct GrpcMetricsLayer {
    methods: &'static GrpcSeries,
}

impl GrpcMetricsLayer {
    pub(crate) fn new(methods: &'static GrpcSeries) -> Self {
        Self { methods }
    }

    /// The layer for a service that takes requests with one type of body only, as tonic's `Channel`
    /// does: `boxed` makes that body of the measured one.
    ///
    // Compiled in `tests/integration`, which depends on tonic.
    #[cfg_attr(not(doctest), doc = include_str!("tonic_client.md"))]
    #[must_use = "a layer does nothing until it wraps a service"]
    pub fn map_request_body<F>(self, boxed: F) -> MapRequestBodyLayer<F> {
        MapRequestBodyLayer::new(self, boxed)
    }

    pub(crate) fn methods(self) -> &'static GrpcSeries {
        self.methods
    }
}

impl<S> Layer<S> for GrpcMetricsLayer {
    type Service = GrpcMetricsService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        GrpcMetricsService::new(inner, self.methods)
    }
}

impl fmt::Debug for GrpcMetricsLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcMetricsLayer")
            .field("settings", &self.methods().settings)
            .finish()
    }
}
