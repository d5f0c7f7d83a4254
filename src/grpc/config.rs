//! [`GrpcMetrics`]: the configuration of a gRPC layer.

use crate::error::Error;
use crate::error::start_up;
use crate::grpc::layer::GrpcMetricsLayer;
use crate::grpc::metric::GrpcMetric;
use crate::grpc::naming::GrpcNaming;
use crate::grpc::series::GrpcSeries;
use crate::grpc::settings::{GrpcSettings, GrpcType, PreregisteredMethod};
use crate::http::config::http_label::HttpLabel;
use crate::model::bounds::Buckets;
use crate::model::description::FamilyDescription;
use crate::model::layer::LayerDescription;
use crate::registry::Registry;
use crate::sink::Sink;
use crate::sink::side::Side;

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
        let settings = GrpcSettings::new(Side::Server);
        Self { settings }
    }

    /// Creates the default configuration for clients, whose metrics are named `grpc_client_…`.
    pub fn client() -> Self {
        let settings = GrpcSettings::new(Side::Client);
        Self { settings }
    }

    /// Creates a configuration for servers by OpenTelemetry's [semantic conventions for RPC metrics].
    ///
    /// | | |
    /// |---|---|
    /// | names | [`GrpcNaming::open_telemetry`]: `rpc_server_call_duration_seconds` |
    /// | labels | `rpc_method`, `rpc_response_status_code`, `error_type`; the constant label `rpc_system_name="grpc"`, which this preset adds, not the naming |
    /// | [`GrpcMetric::Handling`] | on, with the status code, and with the 14 bounds of the conventions in seconds: 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10; [`handling_buckets`](Self::handling_buckets) replaces them |
    /// | all other metrics | off: the conventions do not have them, and the count of the durations is the number of calls that ended; [`measure`](Self::measure) turns them on |
    ///
    /// No setting of this preset removes the status code from the durations. To have it on a counter only, use the naming
    /// without the preset. The counter is [`GrpcMetric::Handled`], `rpc_server_calls_total`, with the labels `rpc_method`,
    /// `rpc_response_status_code` and `error_type`:
    ///
    /// ```
    /// use tower_prometheus::grpc::GrpcNaming;
    /// use tower_prometheus::{GrpcMetrics, Registry};
    ///
    /// let layer = GrpcMetrics::server()
    ///     .naming(GrpcNaming::open_telemetry())
    ///     .constant_label("rpc_system_name", "grpc")
    ///     .build(Registry::new())?;
    /// # Ok::<(), tower_prometheus::Error>(())
    /// ```
    ///
    /// The metrics that are on are then those of [`server`](Self::server), and the buckets those of the registry.
    ///
    /// [semantic conventions for RPC metrics]: https://opentelemetry.io/docs/specs/semconv/rpc/rpc-metrics/
    pub fn open_telemetry_server() -> Self {
        Self::server().with_open_telemetry()
    }

    /// Creates a configuration for clients by OpenTelemetry's semantic conventions for RPC metrics.
    ///
    /// It is that of [`open_telemetry_server`](Self::open_telemetry_server), with the names of a client:
    /// `rpc_client_call_duration_seconds`.
    pub fn open_telemetry_client() -> Self {
        Self::client().with_open_telemetry()
    }

    fn with_open_telemetry(mut self) -> Self {
        self.settings.measured = GrpcMetric::ALL.map(|metric| metric == GrpcMetric::Handling);
        self.naming(GrpcNaming::open_telemetry())
            .constant_label("rpc_system_name", "grpc")
            .handling_buckets([
                0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
            ])
            .code_on_durations()
    }

    /// Sets the names of metrics and labels, and the form of status codes. The default is
    /// [`GrpcNaming::go_grpc_middleware`].
    pub fn naming(mut self, naming: GrpcNaming) -> Self {
        self.settings.naming = naming;
        self
    }

    /// Turns on a metric.
    ///
    /// ```
    /// use tower_prometheus::grpc::GrpcMetric;
    /// use tower_prometheus::{GrpcMetrics, Registry};
    ///
    /// let layer = GrpcMetrics::server()
    ///     .measure(GrpcMetric::ReceivedMessageSize)
    ///     .measure(GrpcMetric::SentMessageSize)
    ///     .message_size_buckets([100.0, 10_000.0, 1_000_000.0])
    ///     .build(Registry::new())?;
    /// # Ok::<(), tower_prometheus::Error>(())
    /// ```
    pub fn measure(mut self, metric: GrpcMetric) -> Self {
        self.settings.measured[metric as usize] = true;
        self
    }

    /// Turns off a metric.
    pub fn without(mut self, metric: GrpcMetric) -> Self {
        self.settings.measured[metric as usize] = false;
        self
    }

    /// Adds a custom label, read from the request or from the response head. Metadata are headers.
    ///
    /// ```
    /// use tower_prometheus::http::HttpLabel;
    /// use tower_prometheus::{GrpcMetrics, Registry};
    ///
    /// let tenant = HttpLabel::from_request("tenant", |request| request.header("x-tenant"));
    /// let layer = GrpcMetrics::server()
    ///     .label(tenant.max_values(200))
    ///     .build(Registry::new())?;
    /// # Ok::<(), tower_prometheus::Error>(())
    /// ```
    ///
    /// | metrics | have the label |
    /// |---|---|
    /// | [`GrpcMetric::Handled`] | always |
    /// | [`GrpcMetric::Handling`] | with [`on_histograms`](HttpLabel::on_histograms) or [`on_everything`](HttpLabel::on_everything) |
    /// | all others, also sizes | with [`on_everything`](HttpLabel::on_everything), if the label is read from the request alone |
    ///
    /// [`open_telemetry_server`](Self::open_telemetry_server) and [`open_telemetry_client`](Self::open_telemetry_client)
    /// turn [`GrpcMetric::Handled`] off: with them, a label needs `on_histograms`, `on_everything` or
    /// `measure(GrpcMetric::Handled)`. [`build`](Self::build) returns an error if a label is on no metric.
    ///
    /// A call that ends without a response head has the value from the request, or the empty string. Trailers are
    /// not read: [`build`](Self::build) returns an error for [`from_outcome`](HttpLabel::from_outcome), which is only for HTTP
    /// layers.
    ///
    /// [`HttpLabel::host`] and [`HttpLabel::port`] are empty around tonic's `Channel`, because the channel adds the host
    /// to the URI inside the layer. Use [`constant_label`](Self::constant_label), or create the client with `with_origin`, as
    /// [`HttpLabel::port`] shows.
    ///
    /// Preregistered methods are exported with each combination of [listed values](HttpLabel::values). Methods ×
    /// combinations can be at most 10,000; beyond, [`build`](Self::build) returns an error. Then preregister fewer methods, list
    /// fewer values, or replace `values` by [`max_values`](HttpLabel::max_values): metrics with that label are exported from
    /// the first call. Each combination exports these series:
    ///
    /// | metrics | series |
    /// |---|---|
    /// | [`GrpcMetric::Handled`] | one for each code (17) |
    /// | [`GrpcMetric::Handling`], with `on_histograms` or `on_everything` | bounds + 3; with [`code_on_durations`](Self::code_on_durations), for each code |
    /// | sizes that are on, with `on_everything` | bounds + 3 for each |
    /// | all others, with `on_everything` | one for each |
    ///
    /// The empty string and `overflow` are exported as 0 only if they are listed. A metric with a label without listed
    /// values is exported from the first call.
    ///
    /// At most 8 labels can be added. Their limits are those of [`HttpLabel`], and their combinations have none:
    /// choose limits whose product you can store.
    pub fn label(mut self, label: HttpLabel) -> Self {
        self.settings.labels.push(label);
        self
    }

    /// Adds the status code to the durations. By default, only `grpc_server_handled_total` has it.
    ///
    /// Each code then adds a series per bucket.
    pub fn code_on_durations(mut self) -> Self {
        self.settings.code_on_durations = true;
        self
    }

    /// Sets the upper bounds of the message sizes, in bytes. The default is the powers of 4 from 16 B to 16 MiB.
    ///
    /// Bounds must be finite and increasing; `+Inf` is added. A recorder of another crate sets its own
    /// buckets: for it, this setting is ignored with a warning.
    pub fn message_size_buckets(mut self, bounds: impl Into<Vec<f64>>) -> Self {
        self.settings.message_size_buckets = bounds.into();
        self
    }

    /// Prepends `prefix` and an underscore to the names of all metrics of this layer, except
    /// `metrics_label_overflow_total`.
    ///
    /// If the prefix ends with an underscore, no other one is added. By default, names have no prefix.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.settings.options.prefix = Some(prefix.into());
        self
    }

    /// Adds a label with a fixed value to all metrics of this layer, except `metrics_label_overflow_total`.
    ///
    /// Layers of one registry may have different values of the label. If they share a metric, all of them need it.
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
    /// `overflow`. Set 0 if the service answers any path with a response message or `OK`, as a proxy does, and exclude
    /// `label="grpc_method"` (`rpc_method` with OpenTelemetry's names) from alerts on `metrics_label_overflow_total`.
    /// Otherwise clients cannot exhaust this limit, because a server learns a method only once a response has proven
    /// that it exists, see [labels](crate::grpc#service-and-method-labels).
    ///
    /// The methods that are known first (on a server: proven first) are kept until the process ends. With an
    /// [idle timeout](crate::RegistryBuilder::idle_timeout), a method is kept until its series have expired, and then no
    /// longer counts. Calls to further methods are recorded as `overflow` and increment `metrics_label_overflow_total`; the
    /// first one also logs a warning.
    /// On a server, this needs a response message or the code `OK`: other calls to further methods are `unknown`, and do
    /// not increment it. Preregistered methods are never `overflow`.
    pub fn max_methods(mut self, methods: usize) -> Self {
        self.settings.max_methods = methods;
        self
    }

    /// Turns the layer on or off. A layer that is off passes all calls through and registers no metrics. It is on by
    /// default.
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.settings.enabled = enabled;
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
        self.settings.describe(|_| Buckets::default())
    }

    /// Like [`families`](Self::families), with the buckets of this registry for histograms without their own, and with
    /// its native histograms.
    ///
    /// # Errors
    ///
    /// If the configuration is invalid; see [`build`](Self::build).
    pub fn families_in(&self, registry: &Registry) -> Result<Vec<FamilyDescription>, Error> {
        self.settings.check()?;
        let families = self.settings.describe(|name| registry.buckets_of(name))?;
        Ok(families
            .into_iter()
            .map(|family| registry.with_native_buckets(family))
            .collect())
    }

    /// Returns the description of one metric, with its full name; `None` if the metric is off.
    ///
    /// It equals the entry in [`families`](Self::families).
    ///
    /// ```
    /// use tower_prometheus::GrpcMetrics;
    /// use tower_prometheus::grpc::GrpcMetric;
    ///
    /// let handled = GrpcMetrics::client().prefix("shop").family(GrpcMetric::Handled)?;
    /// assert_eq!(handled.unwrap().name, "shop_grpc_client_handled_total");
    /// # Ok::<(), tower_prometheus::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the configuration is invalid; see [`build`](Self::build).
    pub fn family(&self, metric: GrpcMetric) -> Result<Option<FamilyDescription>, Error> {
        self.settings.check()?;
        self.settings
            .describe_family(metric, |_| Buckets::default())
    }

    /// Returns the definition of a layer with this configuration, as [`Registry::layers`] lists it once the layer is
    /// built.
    ///
    /// # Errors
    ///
    /// If the configuration is invalid; see [`build`](Self::build).
    pub fn description(&self) -> Result<LayerDescription, Error> {
        self.settings.check()?;
        self.settings.describe_layer(|_| Buckets::default())
    }

    /// Checks the configuration and builds the layer, which records into `sink`.
    ///
    /// Layers with the same configuration on the same registry record into the same series.
    ///
    /// The layer does not keep the registry. When the [registry is dropped](crate::Registry#dropping-a-registry), its
    /// services still pass calls on, and what they record is not exported. The table of the layer stays in memory, about
    /// 41 KiB by default.
    ///
    /// # Errors
    ///
    /// - If a prefix or a name is invalid, or a name is used twice.
    /// - If there are more than 8 custom labels, or a label has no or more than 10,000 values.
    /// - If a custom label is on no metric, is created with [`from_outcome`](HttpLabel::from_outcome), or is read from
    ///   the response and has [`on_everything`](HttpLabel::on_everything).
    /// - If preregistered methods and listed label values have more than 10,000 combinations.
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
        self.settings.check()?;
        let series = GrpcSeries::shared(&self.settings, &sink.into())?;
        Ok(GrpcMetricsLayer::new(series))
    }

    /// Checks the configuration and builds the layer, which records into the global recorder as soon as one is
    /// installed.
    ///
    /// Calls before that are passed through and not measured. For the rest, it is as
    /// [`HttpMetrics::build_global`](crate::HttpMetrics::build_global).
    ///
    /// # Errors
    ///
    /// The same as [`build`](Self::build).
    pub fn build_global(self) -> Result<GrpcMetricsLayer, Error> {
        if let Some(sink) = Sink::installed() {
            return self.build(sink);
        }
        self.settings.check()?;
        let series = GrpcSeries::waiting(&self.settings);
        Ok(GrpcMetricsLayer::new(series))
    }
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
