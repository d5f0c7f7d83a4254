//! [`HttpMetricsLayer`]: the layer of a checked configuration.

use std::fmt;

use tower_layer::Layer;

use crate::error::{Error, start_up};
use crate::http::config::http_metric::HttpMetric;
use crate::http::config::http_metrics::{HttpMetrics, WithErrorKind};
use crate::http::middleware::classify::{ErrorKindFn, NoErrorKind};
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
/// | the same configuration on the same registry | shared, also if its closures are created again and capture nothing |
/// | a new closure that captures a value, for a label, an endpoint or an exemplar | a new one for each call; a warning after 16 tables of a registry, an error after 1024 |
/// | a recorder other than a [`Registry`] | a new one for each call |
///
/// In the last two cases, build the layer once and clone it.
#[derive(Clone, Copy)]
pub struct HttpMetricsLayer<K = NoErrorKind> {
    series: &'static LayerSeries,
    error_kind: K,
}

impl HttpMetricsLayer {
    #[cfg(test)]
    pub(crate) fn series(self) -> &'static LayerSeries {
        self.series
    }
}

impl<S, K: Clone> Layer<S> for HttpMetricsLayer<K> {
    type Service = HttpMetricsService<S, K>;

    fn layer(&self, inner: S) -> Self::Service {
        HttpMetricsService::new(inner, self.series, self.error_kind.clone())
    }
}

impl<K> fmt::Debug for HttpMetricsLayer<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpMetricsLayer")
            .field("settings", &self.series.settings)
            .finish_non_exhaustive()
    }
}

impl HttpMetrics {
    /// Checks the configuration and builds the layer, which records into `sink`.
    ///
    /// Layers with the same configuration on the same registry record into the same series.
    ///
    /// The layer does not keep the registry. When the [registry is dropped](Registry#dropping-a-registry), its services
    /// still pass requests on, and what they record is not exported. The table of the layer stays in memory, about
    /// 43 KiB by default, with the closures of the configuration and what they capture.
    ///
    /// # Errors
    ///
    /// Returns an error if
    ///
    /// - a metric name or a label name is invalid or used twice;
    /// - buckets are not finite and increasing, or [`size_buckets`](Self::size_buckets) or
    ///   [`connection_buckets`](Self::connection_buckets) are set and their metrics are off;
    /// - a number is out of its range, or there are more than 8 custom labels;
    /// - a custom label is on no metric that is on;
    /// - a label that reads the response or the outcome is
    ///   [`on_everything`](crate::http::HttpLabel::on_everything);
    /// - [`standard_labels`](Self::standard_labels) sets a label that the metric cannot have;
    /// - one of the [`methods`](Self::methods) is not a valid HTTP method;
    /// - [`error_kinds`](Self::error_kinds) is set without [`with_error_kind`](Self::with_error_kind);
    /// - a route pattern is invalid or conflicts with another one;
    /// - a name for [`skip`](Self::skip) or [`preregister`](Self::preregister) is not a route template; `skip` has the
    ///   exact rule;
    /// - a preregistered status is not 100 to 999, a custom label of a layer with preregistered routes has no listed
    ///   values, its labels have more than 10,000 combinations of values, or more endpoints are preregistered than
    ///   [`max_endpoints`](Self::max_endpoints);
    /// - [`https`](Self::https) is set without the label `url_scheme`;
    /// - a metric of request bodies is on without [`with_request_body`](Self::with_request_body);
    /// - the registry has a metric of the same name with other labels or buckets, or a constant label with the
    ///   name of a label of this layer;
    /// - the registry already has 1024 layers with different configurations.
    ///
    /// The error lists all mistakes of the configuration.
    pub fn build(self, sink: impl Into<Sink>) -> Result<HttpMetricsLayer, Error> {
        let settings = self.settings_without(&HttpMetric::OF_REQUEST_BODIES)?;
        let series = LayerSeries::shared(settings, &sink.into())?;
        let error_kind = NoErrorKind;
        Ok(HttpMetricsLayer { series, error_kind })
    }

    /// Checks the configuration and builds the layer, which records into the global recorder as soon as one is
    /// installed.
    ///
    /// Requests before that are passed through and not measured. If the recorder is already installed, the layer is the
    /// same as with [`Sink::global`]. The metrics are registered by the first request after the recorder is installed:
    /// also [preregistered](Self::preregister) series are exported only from then on. If the registry refuses the
    /// metrics, because it has another metric of the same name, an error is logged and nothing is recorded. Each call
    /// allocates a table that is never freed: build the layer once and clone it.
    ///
    /// In tests, use [`build`](Self::build) with a registry. If no registry is installed, a local recorder of the thread
    /// (`metrics::with_local_recorder`) counts as installed: each series is then registered in the recorder that is
    /// current at that moment.
    ///
    /// # Metrics page
    ///
    /// The metrics page needs the registry:
    ///
    /// | the registry | layer | metrics page |
    /// |---|---|---|
    /// | can be created before the router | `build(&registry)`, which needs no global recorder | `get(registry.handler())` in the router |
    /// | is created later, by other code | `build_global()` | on a separate port, from the place that installs the recorder; see `scrape::MetricsServer` (feature `server`) |
    ///
    /// In the first case, create the registry with `Registry::builder().build()`, and make it the recorder of the macros
    /// later with `metrics::set_global_recorder(registry.clone())`. [`Registry::global`] does not return this registry,
    /// and [`Sink::global`] and `build_global` use it as a recorder of another crate, without the buckets of the layer. So
    /// pass it to every layer and catalogue.
    ///
    /// # Errors
    ///
    /// The same as [`build`](Self::build).
    pub fn build_global(self) -> Result<HttpMetricsLayer, Error> {
        if let Some(sink) = Sink::installed() {
            return self.build(sink);
        }
        let settings = self.settings_without(&HttpMetric::OF_REQUEST_BODIES)?;
        let series = LayerSeries::waiting(settings);
        let error_kind = NoErrorKind;
        Ok(HttpMetricsLayer { series, error_kind })
    }
}

impl<F> WithErrorKind<HttpMetrics, F> {
    /// Checks the configuration and builds the layer, as [`HttpMetrics::build`] does.
    ///
    /// # Errors
    ///
    /// The same as [`HttpMetrics::build`].
    pub fn build(self, sink: impl Into<Sink>) -> Result<HttpMetricsLayer<ErrorKindFn<F>>, Error> {
        let HttpMetricsLayer { series, .. } = self.config.build(sink)?;
        let error_kind = ErrorKindFn(self.kind);
        Ok(HttpMetricsLayer { series, error_kind })
    }

    /// Builds a layer that records into the global recorder as soon as one is installed; see
    /// [`HttpMetrics::build_global`].
    ///
    /// # Errors
    ///
    /// The same as [`HttpMetrics::build`].
    pub fn build_global(self) -> Result<HttpMetricsLayer<ErrorKindFn<F>>, Error> {
        let HttpMetricsLayer { series, .. } = self.config.build_global()?;
        let error_kind = ErrorKindFn(self.kind);
        Ok(HttpMetricsLayer { series, error_kind })
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
