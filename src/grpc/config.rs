//! [`GrpcMetrics`]: the configuration of a gRPC layer.

use crate::error::Error;
use crate::error::start_up;
use crate::grpc::layer::GrpcMetricsLayer;
use crate::grpc::series::{GrpcFamilies, GrpcSeries};
use crate::grpc::settings::{
    GrpcMetric, GrpcSettings, GrpcType, HANDLING_BUCKETS, LABELS, PreregisteredMethod, Side,
};
use crate::model::bounds::Buckets;
use crate::model::description::FamilyDescription;
use crate::registry::Registry;
use crate::sink::Sink;
use crate::sink::layer_options::LayerOptions;

/// The configuration of a gRPC metrics layer: its names, labels, buckets and preregistered methods.
///
/// [`build`](Self::build) checks it and returns a [`GrpcMetricsLayer`].
///
/// ```
/// use tower_prometheus::{GrpcMetrics, grpc::GrpcType, Registry};
///
/// let registry = Registry::new();
/// let layer = GrpcMetrics::server()
///     .handling_buckets([0.01, 0.1, 1.0])
///     .method("shop.Orders", "Place", GrpcType::Unary)
///     .method("shop.Orders", "Watch", GrpcType::ServerStream)
///     .build(&registry)?;
///
/// let failed = [("grpc_method", "Place"), ("grpc_code", "Internal")];
/// assert_eq!(registry.sum("grpc_server_handled_total", &failed), Some(0.0));
/// # Ok::<(), tower_prometheus::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a configuration does nothing until a layer is built from it"]
pub struct GrpcMetrics {
    settings: GrpcSettings,
}

impl GrpcMetrics {
    /// Creates the default configuration for servers, whose metrics are named `grpc_server_…`.
    pub fn server() -> Self {
        Self::of(Side::Server)
    }

    /// Creates the default configuration for clients, whose metrics are named `grpc_client_…`.
    pub fn client() -> Self {
        Self::of(Side::Client)
    }

    fn of(side: Side) -> Self {
        Self {
            settings: GrpcSettings {
                side,
                options: LayerOptions::default(),
                max_methods: 1000,
                preregistered: Vec::new(),
                descriptor_error: None,
            },
        }
    }

    /// Prepends `prefix_` to the names of all metrics of this layer, except `metrics_label_overflow_total`.
    ///
    /// By default, names have no prefix.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.settings.options.prefix = Some(prefix.into());
        self
    }

    /// Adds a label with a fixed value to all metrics of this layer, except `metrics_label_overflow_total`.
    pub fn constant_label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let label = (name.into(), value.into());
        self.settings.options.constant_labels.push(label);
        self
    }

    /// Sets the upper bounds of the call durations, in seconds. The default is the registry's.
    ///
    /// Bounds must be finite and increasing; `+Inf` is added. A recorder of another crate sets its own
    /// buckets: for it, this setting is ignored with a warning.
    pub fn handling_buckets(mut self, bounds: impl Into<Vec<f64>>) -> Self {
        self.settings.options.duration_buckets = Some(bounds.into());
        self
    }

    /// Sets the maximum number of methods that are not preregistered, 0 to 1,000,000. The default is 1000.
    ///
    /// With 0, only preregistered methods have their own labels; all other calls are recorded as `unknown` or
    /// `overflow`. Set 0 if the service answers any path with a message or `OK`, as a proxy does. Otherwise clients
    /// cannot exhaust this limit, because a server learns a method only once a response has proven that it exists, see
    /// [labels](crate::grpc#service-and-method-labels).
    ///
    /// The methods seen first are kept until the process ends. Calls to further methods are recorded as
    /// `overflow` and increment `metrics_label_overflow_total`; the first one also logs a warning.
    /// Preregistered methods are never `overflow`.
    pub fn max_methods(mut self, methods: usize) -> Self {
        self.settings.max_methods = methods;
        self
    }

    /// Preregisters a method: exports its series as 0 from start-up, with every code.
    ///
    /// `service` includes the package: `shop.Orders`. `kind` is the value of the label `grpc_type`. Neither name
    /// may be empty or contain `/`.
    pub fn method(
        mut self,
        service: impl Into<String>,
        method: impl Into<String>,
        kind: GrpcType,
    ) -> Self {
        let (service, method) = (service.into(), method.into());
        self.preregister(PreregisteredMethod {
            service,
            method,
            kind,
        });
        self
    }

    fn preregister(&mut self, preregistered: PreregisteredMethod) {
        if !self.settings.preregistered.contains(&preregistered) {
            self.settings.preregistered.push(preregistered);
        }
    }

    /// Preregisters every method of an encoded file descriptor set.
    ///
    /// `protoc` writes it with `--descriptor_set_out`, `tonic-prost-build` with `file_descriptor_set_path`.
    /// It is the same set that server reflection uses. If it cannot be decoded, [`build`](Self::build) returns
    /// an error.
    #[cfg(feature = "grpc-descriptor")]
    #[cfg_attr(docsrs, doc(cfg(feature = "grpc-descriptor")))]
    pub fn file_descriptor_set(mut self, encoded: &[u8]) -> Self {
        match super::descriptor::methods(encoded) {
            Ok(methods) => methods.into_iter().for_each(|m| self.preregister(m)),
            Err(error) => self.settings.descriptor_error = Some(error),
        }
        self
    }

    /// Returns the descriptions of all metrics of a layer with this configuration, by their full names.
    ///
    /// Dashboards, rules and tables can be generated from them. Constant labels are not included.
    ///
    /// Without [`handling_buckets`](Self::handling_buckets), durations have the default buckets of a registry. If
    /// your registry has other ones, use [`families_in`](Self::families_in).
    ///
    /// # Errors
    ///
    /// If the configuration is invalid; see [`build`](Self::build).
    pub fn families(&self) -> Result<Vec<FamilyDescription>, Error> {
        self.settings.check()?;
        GrpcFamilies::describe(&self.settings, |_| Buckets::default())
    }

    /// Like [`families`](Self::families), with the buckets of this registry for histograms without their own.
    ///
    /// # Errors
    ///
    /// If the configuration is invalid; see [`build`](Self::build).
    pub fn families_in(&self, registry: &Registry) -> Result<Vec<FamilyDescription>, Error> {
        self.settings.check()?;
        GrpcFamilies::describe(&self.settings, |name| registry.buckets_of(name))
    }

    /// Returns the description of one metric, with its full name.
    ///
    /// It equals the entry in [`families`](Self::families).
    ///
    /// ```
    /// use tower_prometheus::GrpcMetrics;
    /// use tower_prometheus::grpc::GrpcMetric;
    ///
    /// let handled = GrpcMetrics::client().prefix("shop").family(GrpcMetric::Handled)?;
    /// assert_eq!(handled.name, "shop_grpc_client_handled_total");
    /// # Ok::<(), tower_prometheus::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the configuration is invalid; see [`build`](Self::build).
    pub fn family(&self, metric: GrpcMetric) -> Result<FamilyDescription, Error> {
        self.settings.check()?;
        GrpcFamilies::describe_metric(&self.settings, metric)
    }

    /// Checks the configuration and builds the layer, which records into `sink`.
    ///
    /// Layers with the same configuration on the same registry record into the same series.
    ///
    /// # Errors
    ///
    /// - If a prefix or label name is invalid, or a label name is used twice.
    /// - If buckets are not finite and increasing.
    /// - If the service or the name of a preregistered method is empty or contains `/`, or a method is
    ///   preregistered with two types.
    /// - If a descriptor set cannot be decoded.
    /// - If `max_methods` is above 1,000,000.
    /// - If the registry has a metric of the same name with other labels or buckets, or a constant label with
    ///   the name of a label of this layer.
    ///
    /// The error lists all mistakes of the configuration.
    pub fn build(self, sink: impl Into<Sink>) -> Result<GrpcMetricsLayer, Error> {
        let (settings, sink) = (self.settings, sink.into());
        settings.check()?;
        let same = |series: &GrpcSeries| series.settings == settings;
        let leak = || leak(settings.clone(), sink.clone());
        let (options, labels) = (&settings.options, LABELS.into_iter());
        let series = sink.layer_state(options, labels, HANDLING_BUCKETS, same, leak)?;
        Ok(GrpcMetricsLayer::new(series))
    }
}

/// Leaks the series of a layer, so that calls borrow them and share no reference count between cores.
fn leak(settings: GrpcSettings, sink: Sink) -> Result<&'static GrpcSeries, Error> {
    Ok(Box::leak(Box::new(GrpcSeries::new(settings, sink)?)))
}

impl Registry {
    /// Returns a layer for gRPC servers with the default configuration, which records into this registry.
    ///
    /// Every call returns the same layer.
    ///
    /// # Panics
    ///
    /// If the registry has a different metric with the name of one of the layer's metrics, or a constant
    /// label with the name of one of its labels. [`GrpcMetrics::build`] returns an error instead.
    #[must_use]
    pub fn grpc_layer(&self) -> GrpcMetricsLayer {
        start_up(GrpcMetrics::server().build(self))
    }

    /// Returns a layer for gRPC clients with the default configuration, which records into this registry.
    ///
    /// For tonic's `Channel`, which accepts only one type of request body, use it with
    /// [`GrpcMetricsLayer::map_request_body`].
    ///
    /// # Panics
    ///
    /// The same as [`grpc_layer`](Self::grpc_layer).
    #[must_use]
    pub fn grpc_client_layer(&self) -> GrpcMetricsLayer {
        start_up(GrpcMetrics::client().build(self))
    }
}
