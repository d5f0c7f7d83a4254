//! [`CheckedFamily`]: a metric of a collector, validated and ready to export.

use std::collections::HashMap;
use std::sync::Arc;

use metrics::Unit;

use crate::collect::samples::{SampledFamily, Samples};
use crate::model::kind::MetricKind;
use crate::model::label_text::series_prefix;
use crate::model::names::{check_label_name, check_metric_name};
use crate::model::numbers::Number;

/// A validated family of a collector.
#[derive(Debug)]
pub(crate) struct CheckedFamily {
    pub(crate) name: String,
    pub(crate) kind: MetricKind,
    pub(crate) help: Option<Arc<str>>,
    pub(crate) unit: Option<Unit>,
    /// Sorted by prefix, the order of the metrics page.
    pub(crate) samples: Vec<CheckedSample>,
}

#[derive(Debug)]
pub(crate) struct CheckedSample {
    /// The line up to the value: `name{a="1",b="2"} `.
    pub(crate) prefix: String,
    pub(crate) number: Number,
}

/// Validates the families of a collector and returns them in the order in which they were added. The error is
/// the reason why one of them is invalid.
pub(crate) fn check(
    samples: Samples,
    constant_labels: &[(String, String)],
) -> Result<Vec<Arc<CheckedFamily>>, String> {
    let mut kinds = HashMap::new();
    let mut families = Vec::with_capacity(samples.families.len());
    for family in samples.families {
        let SampledFamily { name, kind, .. } = &family;
        if let Some(other) = kinds.insert(name.clone(), *kind) {
            let (other, kind) = (other.as_str(), kind.as_str());
            return Err(format!(
                "metric {name:?} is added as two types, {other} and {kind}; use one"
            ));
        }
        // A family without samples is not exported, as in a registry.
        if !family.samples.is_empty() {
            families.push(Arc::new(CheckedFamily::new(family, constant_labels)?));
        }
    }
    Ok(families)
}

impl CheckedFamily {
    pub(crate) fn new(
        family: SampledFamily,
        constant_labels: &[(String, String)],
    ) -> Result<Self, String> {
        let SampledFamily {
            name,
            kind,
            help,
            unit,
            samples: reported,
        } = family;
        check_metric_name(&name).map_err(|error| error.to_string())?;
        let mut samples = Vec::with_capacity(reported.len());
        for (labels, number) in reported {
            if kind == MetricKind::Counter && !can_be_counted(number) {
                return Err(format!(
                    "counter {name:?} must be 0 or more, got {}",
                    number.as_f64()
                ));
            }
            let prefix = prefix(&name, labels, constant_labels)?;
            samples.push(CheckedSample { prefix, number });
        }
        samples.sort_by(|a, b| a.prefix.cmp(&b.prefix));
        let twice = samples
            .windows(2)
            .find(|pair| pair[0].prefix == pair[1].prefix);
        if let Some(twice) = twice {
            return Err(format!(
                "series {:?} is added twice; add each series once",
                twice[0].prefix.trim_end()
            ));
        }
        Ok(Self {
            name,
            kind,
            help: (!help.is_empty()).then(|| help.into()),
            unit,
            samples,
        })
    }

    /// Returns the labels of sample `i` in the text format: `a="1",b="2"`.
    pub(crate) fn labels(&self, i: usize) -> &str {
        self.samples[i].prefix[self.name.len()..].trim_matches(['{', '}', ' '])
    }
}

fn can_be_counted(number: Number) -> bool {
    match number {
        Number::Integer(_) => true,
        Number::Float(x) => x >= 0.0,
    }
}

/// Formats a line up to the value: `name{a="1",b="2"} `.
fn prefix(
    name: &str,
    mut labels: Vec<(String, String)>,
    constant_labels: &[(String, String)],
) -> Result<String, String> {
    for (label, _) in &labels {
        check_label_name(label).map_err(|error| format!("{name:?}: {error}"))?;
    }
    let is_constant = |label: &str| constant_labels.iter().any(|(name, _)| name == label);
    if let Some((label, _)) = labels.iter().find(|(label, _)| is_constant(label)) {
        return Err(format!(
            "{name:?}: label {label:?} is a constant label of the registry; use another name"
        ));
    }
    labels.extend_from_slice(constant_labels);
    labels.sort_by(|(a, _), (b, _)| a.cmp(b));
    if let Some(twice) = labels.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(format!("{name:?}: label {:?} is set twice", twice[0].0));
    }
    let labels = labels
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    Ok(series_prefix(name, labels))
}
