//! [`RegistryBuilder`]: what can be set before a registry exists.

use crate::error::Error;
use crate::model::bounds::Buckets;
use crate::model::names::{check_constant_label, check_metric_name};
use crate::registry::bucket_rules::BucketRules;
use crate::registry::{Registry, global};

/// Configures a [`Registry`]; everything is checked at the end, by [`build`](Self::build) or
/// [`install`](Self::install).
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
}

impl RegistryBuilder {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A label that every series of this registry has.
    ///
    /// Where a macro uses the same label name, its label is shown under an escaped name.
    pub fn constant_label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.constant_labels.push((name.into(), value.into()));
        self
    }

    /// Upper bounds, in the unit of each histogram, for histograms that no other rule names.
    ///
    /// Without it, Prometheus' own: 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10.
    pub fn buckets(mut self, bounds: impl Into<Vec<f64>>) -> Self {
        self.default = Some(bounds.into());
        self
    }

    /// Upper bounds for the histogram of exactly this name.
    pub fn buckets_for(mut self, name: impl Into<String>, bounds: impl Into<Vec<f64>>) -> Self {
        self.by_name.push((name.into(), bounds.into()));
        self
    }

    /// Upper bounds for histograms whose names begin so; of several prefixes the longest decides.
    pub fn buckets_for_prefix(
        mut self,
        prefix: impl Into<String>,
        bounds: impl Into<Vec<f64>>,
    ) -> Self {
        self.by_prefix.push((prefix.into(), bounds.into()));
        self
    }

    /// Makes the registry.
    ///
    /// # Errors
    ///
    /// When a label or metric name is not one that Prometheus can read, a constant label is given
    /// twice, or bucket bounds are not finite and rising.
    pub fn build(self) -> Result<Registry, Error> {
        let Self {
            constant_labels,
            default,
            by_name,
            by_prefix,
        } = self;
        for (i, (name, _)) in constant_labels.iter().enumerate() {
            check_constant_label(
                name,
                constant_labels[..i].iter().map(|(name, _)| name.as_str()),
            )?;
        }
        let rules = BucketRules {
            default: default.map_or_else(|| Ok(Buckets::default()), |bounds| named("", bounds))?,
            by_name: all_named(by_name)?,
            by_prefix: all_named(by_prefix)?,
        };
        Ok(Registry::with_rules(rules, constant_labels))
    }

    /// Makes the registry and installs it as the global recorder of the `metrics` crate, from
    /// whatever thread and at whatever time.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build), and when a recorder is installed already; the error says where that
    /// was done, if it was a registry of this crate.
    #[track_caller]
    pub fn install(self) -> Result<Registry, Error> {
        let caller = std::panic::Location::caller();
        global::install(self.build()?, caller)
    }
}

fn all_named(rules: Vec<(String, Vec<f64>)>) -> Result<Vec<(String, Buckets)>, Error> {
    let checked = rules.into_iter().map(|(name, bounds)| {
        check_metric_name(&name)?;
        let buckets = named(&name, bounds)?;
        Ok((name, buckets))
    });
    checked.collect()
}

fn named(family: &str, bounds: Vec<f64>) -> Result<Buckets, Error> {
    let which = if family.is_empty() {
        "all histograms"
    } else {
        family
    };
    Buckets::new(bounds).map_err(|error| Error::new(format!("buckets for {which}: {error}")))
}
