//! [`CustomLabels`]: the custom labels of an HTTP or gRPC layer, with the values seen so far.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::http::config::http_label::{HttpLabel, On};
use crate::http::labels::head::{RequestHead, ResponseHead};
use crate::http::labels::outcome::RequestOutcome;
use crate::http::series::label_values::{LabelIds, LabelValueIds};
use crate::registry::lifetime::Lifetime;
use crate::sink::overflow::Overflow;
use crate::sink::weak::WeakSink;

/// The custom labels of an HTTP or gRPC layer, with the values seen so far.
pub(crate) struct CustomLabels {
    labels: Vec<HttpLabel>,
    values: Vec<LabelValueIds>,
    overflow: Vec<Overflow>,
    /// A mask of the labels that all metrics have.
    on_everything: LabelIds,
    reads_response: bool,
}

impl CustomLabels {
    pub(crate) fn new(labels: &[HttpLabel]) -> Self {
        Self {
            labels: labels.to_vec(),
            values: labels.iter().map(LabelValueIds::new).collect(),
            overflow: labels.iter().map(|_| Overflow::default()).collect(),
            on_everything: LabelIds::mask(labels.iter().map(|label| label.on == On::Everything)),
            reads_response: labels.iter().any(HttpLabel::reads_response),
        }
    }

    fn iter(&self) -> impl Iterator<Item = (usize, (&HttpLabel, &LabelValueIds))> {
        self.labels.iter().zip(&self.values).enumerate()
    }

    /// The values that are read from the request.
    pub(crate) fn of_request(&self, request: RequestHead<'_>) -> LabelIds {
        let mut ids = LabelIds::default();
        for (i, (label, values)) in self.iter() {
            ids.set(i, values.id(label.of_request(request).as_deref()));
        }
        ids
    }

    /// Replaces the values that are read from the response.
    #[inline]
    pub(crate) fn read_response(&self, response: ResponseHead<'_>, ids: &mut LabelIds) {
        if !self.reads_response {
            return;
        }
        for (i, (label, values)) in self.iter() {
            if let Some(value) = label.of_response(response) {
                ids.set(i, values.id(Some(&value)));
            }
        }
    }

    /// Replaces the values that are read when a request ends.
    pub(crate) fn read_outcome(&self, outcome: RequestOutcome<'_>, ids: &mut LabelIds) {
        for (i, (label, values)) in self.iter() {
            // The request may end in a destructor, and while its thread unwinds: a panic here would abort the process.
            let value = catch_unwind(AssertUnwindSafe(|| label.of_outcome(outcome)));
            if let Ok(Some(value)) = value {
                ids.set(i, values.id(Some(&value)));
            }
        }
    }

    /// Keeps the labels that all metrics have, and makes the others absent.
    #[inline]
    pub(crate) fn on_everything(&self, ids: LabelIds) -> LabelIds {
        ids.only(self.on_everything)
    }

    /// The lifetime of series with these labels: those with a value that is not listed can expire.
    pub(crate) fn lifetime(&self, ids: LabelIds) -> Lifetime {
        let mut labels = self.iter();
        let has_open = !ids.is_empty()
            && labels.any(|(i, (label, _))| label.values.listed().is_none() && ids.has(i));
        match has_open {
            true => Lifetime::Expiring,
            false => Lifetime::Permanent,
        }
    }

    /// The value of one label.
    pub(crate) fn value(&self, label: usize, ids: LabelIds) -> &'static str {
        self.values[label].name(ids.get(label))
    }

    /// Every combination of the listed values of the labels that a metric has; none if one of these labels has no
    /// listed values.
    pub(crate) fn listed(&self, on: On) -> Vec<LabelIds> {
        let mut combinations = vec![LabelIds::default()];
        for (i, (label, known)) in self.iter().filter(|(_, (label, _))| label.on >= on) {
            let values = label.values.listed().unwrap_or_default();
            let with = |mut ids: LabelIds, value: &str| {
                ids.set(i, known.id(Some(value)));
                ids
            };
            combinations = combinations
                .iter()
                .flat_map(|ids| values.iter().map(|value| with(*ids, value)))
                .collect();
        }
        combinations
    }

    /// Counts values that are recorded as `overflow`, for the metric `family`.
    pub(crate) fn count_overflow(&self, ids: LabelIds, sink: &WeakSink, family: &str) {
        for i in ids.overflowed() {
            let label = &self.labels[i];
            let cause = || self.values[i].overflow_cause(label);
            self.overflow[i].count(sink, family, &label.name, cause);
        }
    }
}
