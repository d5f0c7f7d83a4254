//! [`SampledFamily`]: a family as a collector adds it.

use crate::collect::checked::CheckedFamily;
use crate::collect::histogram_sample::HistogramSample;
use crate::collect::summary_sample::SummarySample;
use crate::model::kind::MetricKind;
use crate::model::label_text::append_label_text;
use crate::model::names::{check_label_name, check_metric_name};
use crate::model::numbers::Number;

/// A family to which a collector adds series. It is valid if there is no problem.
#[derive(Debug)]
pub(crate) struct SampledFamily {
    pub(crate) family: CheckedFamily,
    /// The reason why the first invalid series is invalid.
    pub(crate) problem: Option<String>,
    /// Whether the labels of each series are after those of the series before it.
    pub(crate) is_sorted: bool,
}

pub(crate) type Labels<'a> = &'a [(&'a str, &'a str)];

impl SampledFamily {
    pub(crate) fn new(name: String, kind: MetricKind, help: String) -> Self {
        let problem = name_problem(&name, kind);
        Self {
            family: CheckedFamily::new(name, kind, help),
            problem,
            is_sorted: true,
        }
    }

    pub(crate) fn push_number(&mut self, labels: Labels<'_>, number: Number) {
        self.push(labels, |family| {
            if family.kind == MetricKind::Counter && !can_be_counted(number) {
                let (name, number) = (&family.name, number.as_f64());
                return Err(format!("counter {name:?} must be 0 or more, got {number}"));
            }
            family.push_number(number);
            Ok(())
        });
    }

    pub(crate) fn push_histogram(&mut self, labels: Labels<'_>, histogram: HistogramSample) {
        self.push(labels, |family| {
            let pushed = family.push_histogram(histogram);
            pushed.map_err(|reason| of_series(family, &reason))
        });
    }

    pub(crate) fn push_summary(&mut self, labels: Labels<'_>, summary: SummarySample) {
        self.push(labels, |family| {
            let summary = summary.check();
            family.push_summary(summary.map_err(|reason| of_series(family, &reason))?);
            Ok(())
        });
    }

    pub(crate) fn push_states(&mut self, labels: Labels<'_>, states: &[&str], current: &str) {
        if !states.contains(&current) {
            self.push(labels, |family| {
                let reason = format!("its state {current:?} is not among {states:?}");
                Err(of_series(family, &reason))
            });
        }
        for state in states {
            let is_current = Number::Integer(u64::from(*state == current));
            self.push(labels, |family| {
                write_state(family, labels, state)?;
                family.push_number(is_current);
                Ok(())
            });
        }
    }

    /// Writes the labels and calls `push`, which adds a series with them. Does nothing if there is a problem.
    fn push(
        &mut self,
        labels: Labels<'_>,
        push: impl FnOnce(&mut CheckedFamily) -> Result<(), String>,
    ) {
        if self.problem.is_some() {
            return;
        }
        let family = &mut self.family;
        let written = family.write_labels(|text, name| write_labels(text, name, labels));
        if let Err(problem) = written.and_then(|()| push(family)) {
            self.problem = Some(problem);
            return;
        }
        if let Some(last) = family.len().checked_sub(1)
            && let Some(before) = last.checked_sub(1)
        {
            self.is_sorted &= family.labels(before) < family.labels(last);
        }
    }
}

fn name_problem(name: &str, kind: MetricKind) -> Option<String> {
    if let Err(error) = check_metric_name(name) {
        return Some(error.to_string());
    }
    if kind != MetricKind::StateSet {
        return None;
    }
    let error = check_label_name(name).err()?;
    Some(format!(
        "state set {name:?} needs a label with its name: {error}"
    ))
}

fn of_series(family: &CheckedFamily, reason: &str) -> String {
    let series = family.series_name(family.written_labels());
    format!("{} {series}: {reason}", family.kind.as_str())
}

fn can_be_counted(number: Number) -> bool {
    match number {
        Number::Integer(_) => true,
        Number::Float(x) => x >= 0.0,
    }
}

/// Appends the labels of a series in the text format.
fn write_labels(text: &mut String, name: &str, labels: Labels<'_>) -> Result<(), String> {
    for (label, _) in labels {
        check_label_name(label).map_err(|error| format!("{name:?}: {error}"))?;
    }
    append_label_text(text, labels.iter().copied())
        .map_err(|twice| format!("{name:?}: label {twice:?} is set twice"))
}

/// Appends the label of a state to the written labels. It is the last label, so that the states of a state set are
/// together when series are sorted, as OpenMetrics requires.
fn write_state(family: &mut CheckedFamily, labels: Labels<'_>, state: &str) -> Result<(), String> {
    let name = &family.name;
    if labels.iter().any(|(label, _)| label == name) {
        return Err(format!(
            "state set {name:?}: the label {name:?} has the state; use another name for the other label"
        ));
    }
    family.append_state(state);
    Ok(())
}
