//! [`GrpcMetrics`]: what can be set before a layer exists.

use crate::clock;
use crate::error::Error;
use crate::error::start_up;
use crate::grpc::layer::GrpcMetricsLayer;
use crate::grpc::series::{GrpcFamilies, GrpcSeries};
use crate::grpc::settings::Side;
use crate::grpc::settings::{DeclaredMethod, GrpcMetric, GrpcSettings, GrpcType};
use crate::model::bounds::Buckets;
use crate::model::description::FamilyDescription;
use crate::registry::Registry;
use crate::sink::Sink;

/// Configures a [`GrpcMetricsLayer`]; everything is checked once, by [`build`](Self::build).
///
/// ```
/// use tower_prometheus::{GrpcMetrics, grpc::GrpcType, Registry};
///
/// let registry = Registry::new();
/// let layer = GrpcMetrics::server()
///     .handling_buckets([0.01, 0.1, 1.0])
///     .method("shop.Orders", "CallState", GrpcType::Unary)
///     .method("shop.Orders", "PanicGuard", GrpcType::ServerStream)
///     .build(&registry)?;
///
/// let failed = [("grpc_method", "CallState"), ("grpc_code", "Internal")];
/// assert_eq!(registry.sum("grpc_server_handled_total", &failed), Some(0.0));
/// # Ok::<(), tower_prometheus::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a configuration does nothing until a layer is made of it"]
pub struct GrpcMetrics {
    settings: GrpcSettings,
}

impl GrpcMetrics {
    /// The measurements of a server: `grpc_server_…`.
    pub fn server() -> Self {
        Self::of(Side::Server)
    }

    /// The measurements of a client: `grpc_client_…`.
    pub fn client() -> Self {
        Self::of(Side::Client)
    }

    fn of(side: Side) -> Self {
        Self {
            settings: GrpcSettings {
                side,
                prefix: None,
                constant_labels: Vec::new(),
                handling_buckets: None,
                max_methods: 1000,
                declared: Vec::new(),
                undecoded: None,
            },
        }
    }

    /// Puts `prefix_` before the name of every family of this layer.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.settings.prefix = Some(prefix.into());
        self
    }

    /// A label that every series of this layer has.
    pub fn constant_label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let label = (name.into(), value.into());
        self.settings.constant_labels.push(label);
        self
    }

    /// Upper bounds of the histogram of handling times, in seconds; without it, those of the registry.
    pub fn handling_buckets(mut self, bounds: impl Into<Vec<f64>>) -> Self {
        self.settings.handling_buckets = Some(bounds.into());
        self
    }

    /// How many methods there may be that are not declared, 1000 unless said otherwise; further ones are
    /// counted as `overflow`, with one warning and in `metrics_label_overflow_total`.
    ///
    /// DeclaredMethod methods are never `overflow`, so a server that declares all of its methods may set 0.
    pub fn max_methods(mut self, methods: usize) -> Self {
        self.settings.max_methods = methods;
        self
    }

    /// Declares a method: `service` with its package, `shop.Orders`.
    ///
    /// Its series exist from the start, one for each code, all of them 0; and its `grpc_type` is known.
    pub fn method(
        mut self,
        service: impl Into<String>,
        method: impl Into<String>,
        kind: GrpcType,
    ) -> Self {
        let (service, method) = (service.into(), method.into());
        self.declare(DeclaredMethod {
            service,
            method,
            kind,
        });
        self
    }

    fn declare(&mut self, declared: DeclaredMethod) {
        if !self.settings.declared.contains(&declared) {
            self.settings.declared.push(declared);
        }
    }

    /// Declares every method of a descriptor set, as `protoc` and `tonic-prost-build` write it
    /// (`file_descriptor_set_path`).
    ///
    /// Code that builds such a set for server reflection has it already.
    #[cfg(feature = "grpc-descriptor")]
    #[cfg_attr(docsrs, doc(cfg(feature = "grpc-descriptor")))]
    pub fn file_descriptor_set(mut self, encoded: &[u8]) -> Self {
        match super::descriptor::methods(encoded) {
            Ok(methods) => methods.into_iter().for_each(|m| self.declare(m)),
            Err(error) => self.settings.undecoded = Some(error),
        }
        self
    }

    /// The families that a layer of this configuration has, by their whole names: what tables,
    /// dashboards and rules are made from. Constant labels are not among their labels.
    ///
    /// Handling times whose bounds are left to the registry are described with its defaults; where a
    /// registry has other ones, ask [`families_in`](Self::families_in) it.
    ///
    /// # Errors
    ///
    /// When the configuration cannot be, as [`build`](Self::build).
    pub fn families(&self) -> Result<Vec<FamilyDescription>, Error> {
        self.settings.check()?;
        GrpcFamilies::describe(&self.settings, |_| Buckets::default())
    }

    /// As [`families`](Self::families), with the bounds that this registry gives to histograms without their own.
    ///
    /// # Errors
    ///
    /// As [`families`](Self::families).
    pub fn families_in(&self, registry: &Registry) -> Result<Vec<FamilyDescription>, Error> {
        self.settings.check()?;
        GrpcFamilies::describe(&self.settings, |name| registry.buckets_of(name))
    }

    /// Returns the description of one family.
    ///
    /// It equals the entry in [`families`](Self::families); use it where the meaning of a family is known
    /// and its name is not.
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
    /// As [`families`](Self::families).
    pub fn family(&self, metric: GrpcMetric) -> Result<FamilyDescription, Error> {
        self.settings.check()?;
        GrpcFamilies::describe_metric(&self.settings, metric)
    }

    /// Checks the configuration and makes the layer, which records into `sink`.
    ///
    /// The same configuration twice on one registry is one set of series.
    ///
    /// # Errors
    ///
    /// When a name is not one that Prometheus can read or is used twice, bounds are not finite and
    /// rising, a method's name is empty or it is declared with two types, a descriptor set cannot be decoded,
    /// `max_methods` is above 1,000,000, or the registry has a family of the same name with other
    /// labels or buckets.
    pub fn build(self, sink: impl Into<Sink>) -> Result<GrpcMetricsLayer, Error> {
        let (settings, sink) = (self.settings, sink.into());
        settings.check()?;
        clock::calibrate();
        let bounds = settings
            .handling_buckets
            .as_ref()
            .map(|_| "handling_buckets");
        let same = |methods: &GrpcSeries| methods.settings == settings;
        let leak = || leak(settings.clone(), sink.clone());
        let methods = sink.layer_state(settings.own_labels(), bounds, same, leak)?;
        Ok(GrpcMetricsLayer::new(methods))
    }
}

/// See [`crate::series`] for why.
fn leak(settings: GrpcSettings, sink: Sink) -> Result<&'static GrpcSeries, Error> {
    Ok(Box::leak(Box::new(GrpcSeries::new(settings, sink)?)))
}

impl Registry {
    /// A layer for gRPC servers with the default configuration that records into this registry; the
    /// same one each time.
    ///
    /// # Panics
    ///
    /// When this registry already has another family by one of the layer's names, or a constant label
    /// called like one of the layer's labels. [`GrpcMetrics::build`] gives an error instead.
    #[must_use]
    pub fn grpc_layer(&self) -> GrpcMetricsLayer {
        start_up(GrpcMetrics::server().build(self))
    }

    /// As [`grpc_layer`](Self::grpc_layer), for gRPC clients. tonic's `Channel` takes one type of body only:
    /// [`GrpcMetricsLayer::map_request_body`].
    ///
    /// # Panics
    ///
    /// As [`grpc_layer`](Self::grpc_layer).
    #[must_use]
    pub fn grpc_client_layer(&self) -> GrpcMetricsLayer {
        start_up(GrpcMetrics::client().build(self))
    }
}
