//! [`HttpMetricsLayer`]: the layer of a checked configuration.

use std::fmt;

use tower_layer::Layer;

use crate::error::{Error, start_up};
use crate::http::config::http_metric::HttpMetric;
use crate::http::config::http_metrics::HttpMetrics;
use crate::http::middleware::service::HttpMetricsService;
use crate::http::series::layer::LayerSeries;
use crate::registry::Registry;
use crate::sink::Sink;

/// A Tower layer that records metrics of an HTTP server or client.
///
/// [`HttpMetrics::build`](crate::HttpMetrics::build) builds it;
/// [`Registry::http_layer`](crate::Registry::http_layer) returns one with the default configuration. The
/// [crate documentation](crate#how-requests-end) lists the metrics and how requests are counted.
///
/// # Memory
///
/// The table of series is never freed, so that layers and services are cheap to clone. Each call of
/// [`build`](crate::HttpMetrics::build) that does not share a table allocates another one:
///
/// | [`build`](crate::HttpMetrics::build) with | table |
/// |---|---|
/// | the same configuration on the same registry | shared |
/// | a new closure for a label, an endpoint or an exemplar | a new one for each call |
/// | a recorder other than a [`Registry`] | a new one for each call |
///
/// In the last two cases, build the layer once and clone it.
#[derive(Clone, Copy)]
pub struct HttpMetricsLayer {
    series: &'static LayerSeries,
}

impl HttpMetricsLayer {
    #[cfg(test)]
    pub(crate) fn series(self) -> &'static LayerSeries {
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
    /// Layers with the same configuration on the same registry record into the same series.
    ///
    /// # Errors
    ///
    /// Returns an error if
    ///
    /// - a metric name or a label name is invalid or used twice;
    /// - buckets are not finite and increasing;
    /// - a number is out of its range, or there are more than 8 custom labels;
    /// - a route pattern is invalid or conflicts with another one;
    /// - a preregistered status is not 100 to 999, a custom label of a layer with preregistered routes has no listed
    ///   values, its labels have more than 10,000 combinations of values, or more endpoints are preregistered than
    ///   [`max_endpoints`](Self::max_endpoints);
    /// - [`https`](Self::https) is set without the label `url_scheme`;
    /// - a metric of request bodies is on without [`with_request_body`](Self::with_request_body);
    /// - the registry has a metric of the same name with other labels or buckets, or a constant label with the
    ///   name of a label of this layer.
    ///
    /// The error lists all mistakes of the configuration.
    pub fn build(self, sink: impl Into<Sink>) -> Result<HttpMetricsLayer, Error> {
        let of_request_bodies = [HttpMetric::RequestBodySize, HttpMetric::RequestBodyDuration];
        let settings = self.settings_without(&of_request_bodies)?;
        let series = LayerSeries::shared(settings, &sink.into())?;
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
    /// If this registry has a different metric with one of the layer's names, or a constant label with the name
    /// of one of the layer's labels. [`HttpMetrics::build`] returns an error instead.
    #[must_use]
    #[track_caller]
    pub fn http_layer(&self) -> HttpMetricsLayer {
        start_up(HttpMetrics::server().build(self))
    }

    /// Like [`http_layer`](Self::http_layer), for HTTP clients: see [`HttpMetrics::client`].
    ///
    /// # Panics
    ///
    /// The same as [`http_layer`](Self::http_layer).
    #[must_use]
    #[track_caller]
    pub fn http_client_layer(&self) -> HttpMetricsLayer {
        start_up(HttpMetrics::client().build(self))
    }
}
