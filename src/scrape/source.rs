//! [`Source`]: whose numbers a page shows.

use std::fmt;

use http::HeaderMap;

use crate::exposition::Format;
use crate::registry::Registry;

/// What a [`MetricsHandler`](super::MetricsHandler) can serve: a [`Registry`], or with the feature `exporter` a
/// `metrics_exporter_prometheus::PrometheusHandle`.
#[derive(Clone)]
pub struct Source(pub(super) Pages);

#[derive(Clone)]
pub(super) enum Pages {
    Registry(Registry),
    #[cfg(feature = "exporter")]
    Exporter(metrics_exporter_prometheus::PrometheusHandle),
}

impl Pages {
    pub(super) fn format(&self, headers: &HeaderMap) -> Format {
        match self {
            Self::Registry(_) => Format::negotiate(headers),
            #[cfg(feature = "exporter")]
            Self::Exporter(_) => Format::Text,
        }
    }

    pub(super) fn is_worth_compressing(&self) -> bool {
        match self {
            Self::Registry(registry) => registry.is_worth_compressing(),
            #[cfg(feature = "exporter")]
            Self::Exporter(_) => true,
        }
    }
}

impl From<&Registry> for Source {
    fn from(registry: &Registry) -> Self {
        Self(Pages::Registry(registry.clone()))
    }
}

impl From<Registry> for Source {
    fn from(registry: Registry) -> Self {
        Self(Pages::Registry(registry))
    }
}

#[cfg(feature = "exporter")]
impl From<metrics_exporter_prometheus::PrometheusHandle> for Source {
    fn from(handle: metrics_exporter_prometheus::PrometheusHandle) -> Self {
        Self(Pages::Exporter(handle))
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Pages::Registry(registry) => f.debug_tuple("Source").field(registry).finish(),
            #[cfg(feature = "exporter")]
            Pages::Exporter(_) => f.write_str("Source(PrometheusHandle)"),
        }
    }
}
