//! [`LayerOptions`]: the settings that HTTP and gRPC layers have in common.

use crate::error::{Error, Errors};
use crate::model::bounds::Buckets;
use crate::model::names::{check_constant_label, check_metric_name};

/// The settings that HTTP and gRPC layers have in common.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct LayerOptions {
    pub(crate) prefix: Option<String>,
    pub(crate) constant_labels: Vec<(String, String)>,
    /// The upper bounds of durations in seconds; `None` leaves them to the registry.
    pub(crate) duration_buckets: Option<Vec<f64>>,
}

impl LayerOptions {
    /// Returns a metric name with the prefix of the layer.
    pub(crate) fn full_name(&self, name: &str) -> String {
        match &self.prefix {
            Some(prefix) if prefix.ends_with('_') => format!("{prefix}{name}"),
            Some(prefix) => format!("{prefix}_{name}"),
            None => name.to_owned(),
        }
    }

    pub(crate) fn constant_label_names(&self) -> impl Iterator<Item = &str> {
        self.constant_labels.iter().map(|(name, _)| name.as_str())
    }

    /// Validates these settings and adds the problems to `errors`.
    ///
    /// - `labels`: the labels of the layer's metrics
    /// - `custom`: the labels that the application adds
    /// - `buckets`: the name of the setting for [`duration_buckets`](Self::duration_buckets)
    pub(crate) fn check<'a>(
        &'a self,
        labels: impl Iterator<Item = &'a str>,
        custom: impl Iterator<Item = &'a str>,
        buckets: &str,
        errors: &mut Errors,
    ) {
        if let Some(prefix) = &self.prefix {
            errors.add(check_metric_name(prefix).map_err(|error| error.within("prefix")));
        }
        if let Some(bounds) = &self.duration_buckets {
            check_buckets(buckets, bounds, errors);
        }
        let mut taken: Vec<&str> = labels.collect();
        for name in self.constant_label_names().chain(custom) {
            errors.add(check_constant_label(name, taken.iter().copied()));
            taken.push(name);
        }
    }
}

/// Returns an error for each name that `check` refuses, or that is used twice. `what` is metrics or labels.
pub(crate) fn name_errors(
    what: &str,
    names: &[&str],
    check: impl Fn(&str) -> Result<(), Error>,
) -> Vec<Error> {
    let mut errors = Vec::new();
    for (i, name) in names.iter().enumerate() {
        errors.extend(check(name).err());
        if names[..i].contains(name) {
            errors.push(Error::new(format!(
                "two {what} have the name {name:?}; rename one"
            )));
        }
    }
    errors
}

/// Adds an error that names the setting if `bounds` are not the bounds of a histogram.
pub(crate) fn check_buckets(setting: &str, bounds: &[f64], errors: &mut Errors) {
    let checked = Buckets::new(bounds.iter().copied());
    errors.add(checked.map_err(|error| error.within(setting)));
}
