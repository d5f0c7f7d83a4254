//! [`HttpMetricsLayer`]: a checked configuration, ready to wrap services.

use std::fmt;

use tower_layer::Layer;

use crate::error::{Error, start_up};
use crate::http::config::http_metric::HttpMetric;
use crate::http::config::http_metrics::HttpMetrics;
use crate::http::middleware::service::HttpMetricsService;
use crate::http::series::http::HttpSeries;
use crate::registry::Registry;
use crate::sink::Sink;

/// Measures the HTTP service it is put around.
///
/// Made by [`HttpMetrics::build`](crate::HttpMetrics::build), or with the default configuration by
/// [`Registry::http_layer`](crate::Registry::http_layer). What it records, and how every way a request can end is counted, is
/// the table in the [crate's documentation](crate#how-requests-end).
///
/// Its table of series lives as long as the program: cloning the layer or its services costs nothing, and
/// no two cores share a reference count. The same configuration on the same registry is the same table; with a foreign recorder, and with
/// a closure made anew (for a label, an endpoint or an exemplar), each [`HttpMetrics::build`](crate::HttpMetrics::build)
/// makes one: build such a layer once, and clone it.
#[derive(Clone, Copy)]
pub struct HttpMetricsLayer {
    series: &'static HttpSeries,
}

impl HttpMetricsLayer {
    #[cfg(test)]
    pub(crate) fn series(self) -> &'static HttpSeries {
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

impl HttpMetrics {
    /// Checks the configuration and builds the layer, which records into `sink`.
    ///
    /// The same configuration on the same registry records into the same series.
    ///
    /// # Errors
    ///
    /// If a name is invalid or used twice, buckets are not finite and increasing, a number is out of its range,
    /// a route pattern is invalid, or the registry has a metric of the same name with other labels or buckets.
    /// The error lists every mistake of the configuration.
    pub fn build(self, sink: impl Into<Sink>) -> Result<HttpMetricsLayer, Error> {
        let settings = self.settings()?;
        for metric in [HttpMetric::RequestBodySize, HttpMetric::RequestBodyDuration] {
            if settings.is_measured(metric) {
                return Err(Error::new(format!(
                    "HttpMetric::{metric:?} needs a layer that wraps request bodies: call `with_request_body` \
                     before `build`"
                )));
            }
        }
        let series = HttpSeries::shared(settings, &sink.into())?;
        Ok(HttpMetricsLayer { series })
    }
}

impl Registry {
    /// Returns a layer for HTTP servers with the default configuration, which records into this registry.
    ///
    /// Every call returns the same layer.
    ///
    /// # Panics
    ///
    /// If this registry has another metric by one of the layer's names, or a constant label with the name of
    /// one of the layer's labels. [`HttpMetrics::build`] returns an error instead.
    #[must_use]
    #[track_caller]
    pub fn http_layer(&self) -> HttpMetricsLayer {
        start_up(HttpMetrics::server().build(self))
    }

    /// Like [`http_layer`](Self::http_layer), for HTTP clients: see [`HttpMetrics::client`].
    ///
    /// # Panics
    ///
    /// As [`http_layer`](Self::http_layer).
    #[must_use]
    #[track_caller]
    pub fn http_client_layer(&self) -> HttpMetricsLayer {
        start_up(HttpMetrics::client().build(self))
    }
}
