//! [`HttpMetricsLayer`]: a checked configuration, ready to wrap services.

use std::fmt;

use tower_layer::Layer;

use super::HttpMetricsService;
use crate::series::HttpSeries;

/// Measures the HTTP service it is put around.
///
/// Made by [`HttpMetrics::layer`](super::HttpMetrics::layer), or with the default configuration by
/// [`Registry::http_layer`](crate::Registry::http_layer). What it records, and how every way a request can end is counted, is
/// the table in the [crate's documentation](crate#how-requests-end).
///
/// Its table of series lives as long as the program: cloning the layer or its services costs nothing, and
/// no two cores share a reference count. The same configuration on the same registry is the same table; with a foreign recorder, and with
/// a closure made anew (for a label, an endpoint or an exemplar), each [`HttpMetrics::layer`](super::HttpMetrics::layer)
/// makes one: build such a layer once, and clone it.
#[derive(Clone, Copy)]
pub struct HttpMetricsLayer {
    series: &'static HttpSeries,
}

impl HttpMetricsLayer {
    pub(super) fn new(series: &'static HttpSeries) -> Self {
        Self { series }
    }

    #[cfg(test)]
    pub(super) fn series(self) -> &'static HttpSeries {
        self.series
    }
}

impl<S> Layer<S> for HttpMetricsLayer {
    type Service = HttpMetricsService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        HttpMetricsService::new(inner, self.series)
    }
}

impl fmt::Debug for HttpMetricsLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpMetricsLayer")
            .field("settings", &self.series.settings)
            .finish()
    }
}
