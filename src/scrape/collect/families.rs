//! [`CheckedFamily`]: a collector's family that can stand on a page, and how it is written there.

use std::collections::HashSet;

use metrics::Unit;

use super::samples::{SampledFamily, Samples};
use crate::FamilyKind;
use crate::exposition::{Format, ReadyFamily, announced, push_about, push_count, push_float};
use crate::registry::{check_label_name, check_metric_name, label_text};

/// A value as exactly as its source has it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Whole(u64),
    Real(f64),
}

/// A family whose lines are ready but for their values' format.
#[derive(Debug)]
pub(super) struct CheckedFamily {
    pub(super) name: String,
    kind: FamilyKind,
    help: String,
    unit: Option<Unit>,
    /// All before the value, in the order of the page, and the value.
    lines: Vec<(String, Number)>,
}

/// The families of a collector in the order it told them, or what is wrong with them.
pub(super) fn check(
    samples: Samples,
    constant_labels: &[(String, String)],
) -> Result<Vec<CheckedFamily>, String> {
    let mut names = HashSet::new();
    let mut families = Vec::with_capacity(samples.families.len());
    for family in samples.families {
        if !names.insert(family.name.clone()) {
            return Err(format!("{:?} is told as two kinds of metric", family.name));
        }
        // Without a sample it is not there, as in a registry.
        if !family.samples.is_empty() {
            families.push(CheckedFamily::new(family, constant_labels)?);
        }
    }
    Ok(families)
}

impl CheckedFamily {
    fn new(family: SampledFamily, constant_labels: &[(String, String)]) -> Result<Self, String> {
        let SampledFamily {
            name,
            kind,
            help,
            unit,
            samples,
        } = family;
        check_metric_name(&name).map_err(|error| error.to_string())?;
        let mut lines = Vec::with_capacity(samples.len());
        for (labels, number) in samples {
            if kind == FamilyKind::Counter && !number.can_be_counted() {
                return Err(format!("counter {name:?} cannot be {number:?}"));
            }
            lines.push((head(&name, labels, constant_labels)?, number));
        }
        lines.sort_by(|(a, _), (b, _)| a.cmp(b));
        if let Some(twice) = lines.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(format!("series {:?} is there twice", twice[0].0.trim_end()));
        }
        Ok(Self {
            name,
            kind,
            help,
            unit,
            lines,
        })
    }

    /// The family as text. `is_taken` says whether another family of the page needs a name.
    pub(super) fn write(&self, format: Format, is_taken: impl Fn(&str) -> bool) -> ReadyFamily {
        let Self {
            name,
            kind,
            help,
            unit,
            lines,
        } = self;
        let mut text = Vec::new();
        let (announced, kind) = announced(name, *kind, format, is_taken);
        let help = (!help.is_empty()).then_some(help.as_str());
        push_about(&mut text, announced, kind, help, *unit, format);
        for (head, number) in lines {
            text.extend_from_slice(head.as_bytes());
            match *number {
                Number::Whole(n) => push_count(&mut text, n),
                Number::Real(x) => push_float(&mut text, x, format),
            }
            text.push(b'\n');
        }
        ReadyFamily::new(name.clone(), text)
    }

    /// A gauge of ours, by collector.
    pub(super) fn of_collectors(
        name: &str,
        help: &str,
        unit: Option<Unit>,
        values: impl Iterator<Item = (String, Number)>,
        constant_labels: &[(String, String)],
    ) -> Result<Self, String> {
        let labelled = |(collector, number)| (vec![("collector".to_owned(), collector)], number);
        let family = SampledFamily {
            name: name.to_owned(),
            kind: FamilyKind::Gauge,
            help: help.to_owned(),
            unit,
            samples: values.map(labelled).collect(),
        };
        Self::new(family, constant_labels)
    }
}

impl Number {
    fn can_be_counted(self) -> bool {
        match self {
            Self::Whole(_) => true,
            Self::Real(x) => x >= 0.0,
        }
    }
}

/// All of a line before its value: `name{a="1",b="2"} `.
fn head(
    name: &str,
    mut labels: Vec<(String, String)>,
    constant_labels: &[(String, String)],
) -> Result<String, String> {
    for (label, _) in &labels {
        check_label_name(label).map_err(|error| format!("{name:?}: {error}"))?;
    }
    labels.extend_from_slice(constant_labels);
    labels.sort_by(|(a, _), (b, _)| a.cmp(b));
    if let Some(twice) = labels.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(format!("{name:?} has the label {:?} twice", twice[0].0));
    }
    let text = label_text(labels.iter().map(|(n, v)| (n.as_str(), v.as_str())));
    Ok(match text.is_empty() {
        true => format!("{name} "),
        false => format!("{name}{{{text}}} "),
    })
}
