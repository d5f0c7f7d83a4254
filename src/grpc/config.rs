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

/// The configuration of a [`GrpcMetricsLayer`]. [`build`](Self::build) checks it.
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
    /// Configures a layer for servers. Its metrics are named `grpc_server_…`.
    pub fn server() -> Self {
        Self::of(Side::Server)
    }

    /// Configures a layer for clients. Its metrics are named `grpc_client_…`.
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

    /// Prepends `prefix_` to the name of each metric of this layer.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.settings.options.prefix = Some(prefix.into());
        self
    }

    /// Adds a label with a constant value to every series of this layer.
    pub fn constant_label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let label = (name.into(), value.into());
        self.settings.options.constant_labels.push(label);
        self
    }

    /// Sets the buckets of the call durations, as upper bounds in seconds.
    /// By default, they have the buckets of the registry.
    pub fn handling_buckets(mut self, bounds: impl Into<Vec<f64>>) -> Self {
        self.settings.options.duration_buckets = Some(bounds.into());
        self
    }

    /// Sets the maximum number of methods that are not preregistered: at most 1,000,000, by default 1000.
    ///
    /// Further methods are recorded as `overflow`, with one warning, and counted in
    /// `metrics_label_overflow_total`.
    ///
    /// Preregistered methods are never `overflow`, so a server that preregisters all its methods can set 0.
    pub fn max_methods(mut self, methods: usize) -> Self {
        self.settings.max_methods = methods;
        self
    }

    /// Preregisters a method. `service` includes the package: `shop.Orders`.
    ///
    /// Its series are exported as 0 from start-up, one for every code, with `kind` as `grpc_type`.
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
    /// It is the same set that server reflection uses.
    #[cfg(feature = "grpc-descriptor")]
    #[cfg_attr(docsrs, doc(cfg(feature = "grpc-descriptor")))]
    pub fn file_descriptor_set(mut self, encoded: &[u8]) -> Self {
        match super::descriptor::methods(encoded) {
            Ok(methods) => methods.into_iter().for_each(|m| self.preregister(m)),
            Err(error) => self.settings.descriptor_error = Some(error),
        }
        self
    }

    /// Returns the descriptions of this layer's metrics, from which tables, dashboards and rules are
    /// generated.
    ///
    /// Names are full names. Constant labels are not included. If
    /// [`handling_buckets`](Self::handling_buckets) is not set, the durations have the default buckets of a
    /// registry; for those of a given registry, use [`families_in`](Self::families_in).
    ///
    /// # Errors
    ///
    /// If the configuration is invalid; see [`build`](Self::build).
    pub fn families(&self) -> Result<Vec<FamilyDescription>, Error> {
        self.settings.check()?;
        GrpcFamilies::describe(&self.settings, |_| Buckets::default())
    }

    /// Returns the same as [`families`](Self::families), with the buckets that `registry` has for histograms
    /// whose buckets are not set.
    ///
    /// # Errors
    ///
    /// If the configuration is invalid; see [`build`](Self::build).
    pub fn families_in(&self, registry: &Registry) -> Result<Vec<FamilyDescription>, Error> {
        self.settings.check()?;
        GrpcFamilies::describe(&self.settings, |name| registry.buckets_of(name))
    }

    /// Returns the description of one metric.
    ///
    /// It equals the entry in [`families`](Self::families). Use it to get the name of a metric.
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

    /// Builds the layer, which records into `sink`.
    ///
    /// Layers with the same configuration on the same registry share their series.
    ///
    /// # Errors
    ///
    /// - If a prefix or label name is invalid, or a label name is used twice.
    /// - If buckets are not finite and increasing.
    /// - If the service or the name of a preregistered method is empty or contains `/`, or a method is
    ///   preregistered with two types.
    /// - If a descriptor set cannot be decoded.
    /// - If `max_methods` is above 1,000,000.
    /// - If the registry has a metric of the same name with other labels or buckets.
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
    /// Calling it again returns a layer with the same series.
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
    /// In the same cases as [`grpc_layer`](Self::grpc_layer).
    #[must_use]
    pub fn grpc_client_layer(&self) -> GrpcMetricsLayer {
        start_up(GrpcMetrics::client().build(self))
    }
}
