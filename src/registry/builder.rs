//! [`RegistryBuilder`]: the settings of a registry.

use crate::error::Error;
use crate::model::bounds::Buckets;
use crate::model::names::{check_constant_label, check_metric_name};
use crate::registry::bucket_rules::BucketRules;
use crate::registry::collectors::Collectors;
use crate::registry::{Registry, global};

/// A builder that configures a [`Registry`].
///
/// Settings are validated by [`build`](Self::build) and [`install`](Self::install).
///
/// ```
/// use tower_prometheus::Registry;
///
/// let registry = Registry::builder()
///     .constant_label("service", "shop")
///     .buckets([0.01, 0.1, 1.0])
///     .buckets_for_prefix("db_", [0.001, 0.01])
///     .buckets_for("db_dump_seconds", [60.0, 600.0])
///     .build()?;
/// # Ok::<(), tower_prometheus::Error>(())
/// ```
#[derive(Debug, Default)]
#[must_use = "a builder does nothing until it is built or installed"]
pub struct RegistryBuilder {
    constant_labels: Vec<(String, String)>,
    default: Option<Vec<f64>>,
    by_name: Vec<(String, Vec<f64>)>,
    by_prefix: Vec<(String, Vec<f64>)>,
    max_series_per_collector: Option<usize>,
}

impl RegistryBuilder {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a label to every series of the registry, including those of its collectors.
    ///
    /// If another label has the same name:
    ///
    /// | label of | effect |
    /// |---|---|
    /// | a layer or a catalogue | error at start-up |
    /// | a collector | the collector fails |
    /// | a macro of the `metrics` crate | the label of the call site is exported under an escaped name, with a warning |
    pub fn constant_label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.constant_labels.push((name.into(), value.into()));
        self
    }

    /// Sets the default buckets as upper bounds, in the unit of each histogram.
    ///
    /// The first of these that is set applies:
    ///
    /// 1. the buckets of the definition: those set for a layer or in a [catalogue](crate::catalogue!)
    /// 2. [`buckets_for`](Self::buckets_for)
    /// 3. [`buckets_for_prefix`](Self::buckets_for_prefix)
    /// 4. `buckets`
    /// 5. [`buckets::DEFAULT`](crate::buckets::DEFAULT): 11 bounds from 0.005 to 10, as in Prometheus clients
    ///
    /// So these three settings of the registry apply to:
    ///
    /// | histogram | applied |
    /// |---|---|
    /// | of a macro | yes |
    /// | durations of an HTTP or gRPC layer | unless the layer sets buckets, as [`HttpMetrics::open_telemetry`](crate::HttpMetrics::open_telemetry) does |
    /// | sizes of an HTTP layer; of a catalogue | no: their definitions always have buckets |
    pub fn buckets(mut self, bounds: impl Into<Vec<f64>>) -> Self {
        self.default = Some(bounds.into());
        self
    }

    /// Sets the upper bounds of the histogram with exactly this name.
    ///
    /// See [`buckets`](Self::buckets) for the order of precedence.
    pub fn buckets_for(mut self, name: impl Into<String>, bounds: impl Into<Vec<f64>>) -> Self {
        self.by_name.push((name.into(), bounds.into()));
        self
    }

    /// Sets the upper bounds of histograms whose names start with `prefix`.
    ///
    /// If several prefixes match, the longest applies. See [`buckets`](Self::buckets) for the order of
    /// precedence.
    pub fn buckets_for_prefix(
        mut self,
        prefix: impl Into<String>,
        bounds: impl Into<Vec<f64>>,
    ) -> Self {
        self.by_prefix.push((prefix.into(), bounds.into()));
        self
    }

    /// Sets the maximum number of series of each [collector](crate::collect); 10,000 by default.
    ///
    /// A histogram or a summary with all its lines is one series, and so is each state of a state set. See
    /// [limits](crate::collect#limits) for what is exported beyond the maximum.
    pub fn max_series_per_collector(mut self, max: usize) -> Self {
        self.max_series_per_collector = Some(max);
        self
    }

    /// Builds the registry, without installing it as the global recorder.
    ///
    /// # Errors
    ///
    /// Returns an error if a label name, metric name or prefix is invalid, if a constant label is set twice, if
    /// bucket bounds are empty, not finite or not increasing, or if `max_series_per_collector` is 0.
    pub fn build(self) -> Result<Registry, Error> {
        let Self {
            constant_labels,
            default,
            by_name,
            by_prefix,
            max_series_per_collector,
        } = self;
        let max_series = max_series_per_collector.unwrap_or(Collectors::DEFAULT_MAX_SERIES);
        if max_series == 0 {
            return Err(Error::new(
                "max_series_per_collector must be 1 or more, got 0; to export nothing, register no collector"
                    .to_owned(),
            ));
        }
        for (i, (name, _)) in constant_labels.iter().enumerate() {
            check_constant_label(
                name,
                constant_labels[..i].iter().map(|(name, _)| name.as_str()),
            )?;
        }
        let rules = BucketRules {
            default: default.map_or_else(
                || Ok(Buckets::default()),
                |bounds| buckets_of("buckets", bounds),
            )?,
            by_name: all_named("buckets_for", by_name)?,
            by_prefix: all_named("buckets_for_prefix", by_prefix)?,
        };
        Ok(Registry::with_rules(rules, constant_labels, max_series))
    }

    /// Builds the registry and installs it as the global recorder of the `metrics` crate.
    ///
    /// Install it early: observations that macros make before are lost, and handles that macros returned before
    /// stay without effect. An async runtime is not needed.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`build`](Self::build), and an error if a global recorder is already
    /// installed. If that recorder is a registry of this crate, the message has the source location where
    /// it was installed.
    #[track_caller]
    pub fn install(self) -> Result<Registry, Error> {
        let caller = std::panic::Location::caller();
        global::install(self.build()?, caller)
    }
}

fn all_named(
    setting: &str,
    rules: Vec<(String, Vec<f64>)>,
) -> Result<Vec<(String, Buckets)>, Error> {
    let checked = rules.into_iter().map(|(name, bounds)| {
        check_metric_name(&name).map_err(|error| Error::new(format!("{setting}: {error}")))?;
        let buckets = buckets_of(&format!("{setting} {name:?}"), bounds)?;
        Ok((name, buckets))
    });
    checked.collect()
}

fn buckets_of(setting: &str, bounds: Vec<f64>) -> Result<Buckets, Error> {
    Buckets::new(bounds).map_err(|error| Error::new(format!("{setting}: {error}")))
}
