//! [`HttpMetrics`]: what can be set before a layer exists.

use super::HttpMetricsLayer;
use crate::labels::Naming;
use crate::registry::{
    Buckets, Registry, check_constant_label, check_label_name, check_metric_name,
};
use crate::series::HttpSeries;
use crate::target::Target;
use crate::{Error, clock};

/// Configures an [`HttpMetricsLayer`]; everything is checked once, by [`layer`](Self::layer).
///
/// ```
/// use tower_prometheus::{HttpMetrics, Registry};
///
/// let registry = Registry::new();
/// let layer = HttpMetrics::server()
///     .prefix("shop")
///     .constant_label("zone", "eu")
///     .duration_buckets([0.01, 0.1, 1.0])
///     .skip(["/internal/health"])
///     .layer(&registry)?;
/// # Ok::<(), tower_prometheus::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a configuration does nothing until a layer is made of it"]
pub struct HttpMetrics {
    settings: Settings,
}

/// What a layer was asked to do; two layers that agree in all of it share their series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) prefix: Option<String>,
    pub(crate) constant_labels: Vec<(String, String)>,
    pub(crate) duration_buckets: Option<Vec<f64>>,
    pub(crate) duration_to: DurationTo,
    pub(crate) skip: Vec<String>,
    pub(crate) max_endpoints: usize,
    pub(crate) naming: Naming,
}

/// Where the time of a request ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DurationTo {
    /// With the response's body: the time the client waited.
    #[default]
    End,
    /// With the response's head: comparable to crates that stop there, blind to slow bodies.
    Head,
}

impl HttpMetrics {
    /// The measurements of a server.
    pub fn server() -> Self {
        Self {
            settings: Settings {
                prefix: None,
                constant_labels: Vec::new(),
                duration_buckets: None,
                duration_to: DurationTo::default(),
                skip: Vec::new(),
                max_endpoints: 1000,
                naming: Naming::classic(),
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

    /// Upper bounds of the duration histogram, in seconds; without it, those of the registry.
    pub fn duration_buckets(mut self, bounds: impl Into<Vec<f64>>) -> Self {
        self.settings.duration_buckets = Some(bounds.into());
        self
    }

    /// Where the time of a request ends; with its body unless said otherwise.
    pub fn duration_to(mut self, end: DurationTo) -> Self {
        self.settings.duration_to = end;
        self
    }

    /// Endpoints that are not measured at all, as the router writes them; `unmatched` is one too.
    pub fn skip<E: Into<String>>(mut self, endpoints: impl IntoIterator<Item = E>) -> Self {
        self.settings
            .skip
            .extend(endpoints.into_iter().map(E::into));
        self
    }

    /// How many endpoints there may be, 1000 unless said otherwise; further ones are counted as
    /// `overflow`, with one warning and in `metrics_label_overflow_total`.
    pub fn max_endpoints(mut self, endpoints: usize) -> Self {
        self.settings.max_endpoints = endpoints;
        self
    }

    /// What families and labels are called.
    pub fn naming(mut self, naming: Naming) -> Self {
        self.settings.naming = naming;
        self
    }

    /// Checks the configuration and makes the layer, which records into `target`.
    ///
    /// The same configuration twice on one registry is one set of series.
    ///
    /// # Errors
    ///
    /// When a name is not one that Prometheus can read or is used twice, bounds are not finite and
    /// rising, `max_endpoints` is 0 or above 1,000,000, or the registry has a family of the same name
    /// with other labels or buckets.
    pub fn layer(self, target: impl Into<Target>) -> Result<HttpMetricsLayer, Error> {
        let (settings, target) = (self.settings, target.into());
        settings.check()?;
        clock::calibrate();
        let Some(registry) = target.registry().cloned() else {
            if settings.duration_buckets.is_some() {
                tracing::warn!(
                    "duration_buckets have no effect: the recorder decides on its buckets"
                );
            }
            return leak(settings, target).map(HttpMetricsLayer::new);
        };
        settings.check_beside(&registry)?;
        let same = |series: &HttpSeries| series.settings == settings;
        let series = registry.layer_state(same, || leak(settings.clone(), target))?;
        Ok(HttpMetricsLayer::new(series))
    }
}

/// See [`crate::series`] for why.
fn leak(settings: Settings, target: Target) -> Result<&'static HttpSeries, Error> {
    Ok(Box::leak(Box::new(HttpSeries::new(settings, target)?)))
}

impl Settings {
    fn check(&self) -> Result<(), Error> {
        const MOST_ENDPOINTS: usize = 1_000_000;
        let Self {
            prefix,
            constant_labels,
            duration_buckets,
            duration_to: _,
            skip: _,
            max_endpoints,
            naming,
        } = self;
        if let Some(prefix) = prefix {
            check_metric_name(prefix)?;
        }
        if !(1..=MOST_ENDPOINTS).contains(max_endpoints) {
            return Err(Error::new(format!(
                "max_endpoints is {max_endpoints}: it must be from 1 to {MOST_ENDPOINTS}"
            )));
        }
        if let Some(bounds) = duration_buckets {
            Buckets::new(bounds.iter().copied())
                .map_err(|error| Error::new(format!("duration_buckets: {error}")))?;
        }
        let mut taken = naming.check()?;
        for (name, _) in constant_labels {
            check_constant_label(name, taken.iter().copied())?;
            taken.push(name);
        }
        Ok(())
    }

    fn check_beside(&self, registry: &Registry) -> Result<(), Error> {
        let own = self.constant_labels.iter().map(|(name, _)| name.as_str());
        let own: Vec<_> = own.chain(self.naming.labels()).collect();
        for (name, _) in registry.constant_labels() {
            if own.contains(&name.as_str()) {
                return Err(Error::new(format!(
                    "label {name:?} is a constant label of the registry and a label of the layer"
                )));
            }
        }
        Ok(())
    }
}

impl Naming {
    fn families(&self) -> [&str; 5] {
        let Self {
            requests,
            duration,
            in_progress,
            aborted,
            connections,
            method: _,
            endpoint: _,
            status: _,
        } = self;
        [requests, duration, in_progress, aborted, connections]
    }

    /// All label names of the layer: those that can be set, and the fixed ones.
    fn labels(&self) -> [&str; 5] {
        [&self.method, &self.endpoint, &self.status, "reason", "kind"]
    }

    /// Checks every name; returns the labels.
    fn check(&self) -> Result<Vec<&str>, Error> {
        let families = self.families();
        for (i, name) in families.into_iter().enumerate() {
            check_metric_name(name)?;
            if families[..i].contains(&name) {
                return Err(Error::new(format!("{name:?} is the name of two families")));
            }
        }
        let mut taken: Vec<&str> = Vec::new();
        for name in self.labels() {
            check_label_name(name)?;
            if taken.contains(&name) {
                return Err(Error::new(format!("{name:?} is the name of two labels")));
            }
            taken.push(name);
        }
        Ok(taken)
    }
}

impl Registry {
    /// A layer with the default configuration that records into this registry; the same one each time.
    ///
    /// # Panics
    ///
    /// When this registry already has another family by one of the layer's names, or a constant label
    /// called like one of the layer's labels. [`HttpMetrics::layer`] gives an error instead.
    #[must_use]
    pub fn http_layer(&self) -> HttpMetricsLayer {
        #[expect(
            clippy::panic,
            reason = "a mistake in the program, found when it starts"
        )]
        match HttpMetrics::server().layer(self) {
            Ok(layer) => layer,
            Err(error) => panic!("{error}"),
        }
    }
}
