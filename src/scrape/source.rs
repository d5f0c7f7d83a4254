//! [`Source`]: whose numbers a page shows.

use std::fmt;

use http::HeaderMap;

use crate::exposition::{Format, PageText};
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

    /// What every series of the page has.
    pub(super) fn constant_labels(&self) -> &[(String, String)] {
        match self {
            Self::Registry(registry) => registry.constant_labels(),
            #[cfg(feature = "exporter")]
            Self::Exporter(_) => &[],
        }
    }

    /// Tells which names of samples the page has, at least: a registry's never get fewer.
    #[cfg(feature = "collect")]
    pub(super) fn taken_names(&self, text: &PageText) -> impl Fn(&str) -> bool {
        let written = text.sample_names();
        let registry = match self {
            Self::Registry(registry) => Some(registry),
            #[cfg(feature = "exporter")]
            Self::Exporter(_) => None,
        };
        move |name| {
            written.contains(name) || registry.is_some_and(|known| known.has_sample_name(name))
        }
    }

    #[cfg(not(feature = "collect"))]
    pub(super) fn taken_names(&self, _: &PageText) -> impl Fn(&str) -> bool {
        |_: &str| false
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
