//! [`GrpcMetricsLayer`]: applies gRPC metrics to a service.

use std::fmt;

use tower_layer::Layer;

use crate::grpc::series::GrpcSeries;
use crate::grpc::service::GrpcMetricsService;

/// A Tower layer that records metrics of a gRPC server or client.
///
/// [`GrpcMetrics::build`](crate::GrpcMetrics::build) builds it;
/// [`Registry::grpc_layer`](crate::Registry::grpc_layer) and
/// [`Registry::grpc_client_layer`](crate::Registry::grpc_client_layer) return one with the default
/// configuration. The [module documentation](super) lists its metrics and how calls end.
///
/// The layer is `Copy`: its table of methods is never freed, so clones share no reference count between
/// cores. Only with an [idle timeout](crate::RegistryBuilder::idle_timeout), calls to methods that are not preregistered and
/// calls with custom labels that have no listed values share a reference count. Layers with the same configuration on the same registry share the table. With a recorder other than
/// a [`Registry`](crate::Registry), each layer that is built has its own table: build it once and copy it.
#[derive(Clone, Copy)]
pub struct GrpcMetricsLayer {
    series: &'static GrpcSeries,
}

impl GrpcMetricsLayer {
    pub(crate) fn new(series: &'static GrpcSeries) -> Self {
        Self { series }
    }

    pub(crate) fn series(self) -> &'static GrpcSeries {
        self.series
    }
}

impl<S> Layer<S> for GrpcMetricsLayer {
    type Service = GrpcMetricsService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        GrpcMetricsService::new(inner, self.series)
    }
}

impl fmt::Debug for GrpcMetricsLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcMetricsLayer")
            .field("settings", &self.series().settings)
            .finish()
    }
}
