//! [`CustomLabels`]: the custom labels of an HTTP or gRPC layer, with the values seen so far.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::http::config::http_label::{HttpLabel, On};
use crate::http::labels::head::{RequestHead, ResponseHead};
use crate::http::labels::outcome::RequestOutcome;
use crate::http::series::custom_values::CustomValues;
use crate::http::series::label_values::{ABSENT, LabelIds, LabelValueIds, full_cause};
use crate::registry::lifetime::Lifetime;
use crate::sink::overflow::{OVERFLOW, Overflow, OverflowCause};
use crate::sink::weak::WeakSink;

/// The custom labels of an HTTP or gRPC layer, with the values seen so far.
///
/// In a layer whose series never expire, all values have ids: [`LabelIds`]. Otherwise open labels are in rows, and only
/// listed values have ids: [`CustomValues`].
pub(crate) struct CustomLabels {
    labels: Vec<HttpLabel>,
    values: Vec<Values>,
    overflow: Vec<Overflow>,
    /// A mask of the labels that all metrics have.
    on_everything: LabelIds,
    reads_response: bool,
    /// The number of labels in rows.
    open: usize,
}

/// Where the values of a label are.
enum Values {
    Ids(LabelValueIds),
    /// In rows, at this index among the open labels.
    InRows(usize),
}

/// The value of a label of series.
pub(crate) enum CustomValue {
    Name(&'static str),
    /// The value of their row at this index.
    InRow(usize),
}

impl CustomLabels {
    /// If series `can_expire`, labels without listed values are in rows.
    pub(crate) fn new(labels: &[HttpLabel], can_expire: bool) -> Self {
        let mut open = 0;
        let values = labels.iter().map(|label| {
            if !can_expire || label.values.listed().is_some() {
                return Values::Ids(LabelValueIds::new(label));
            }
            open += 1;
            Values::InRows(open - 1)
        });
        Self {
            labels: labels.to_vec(),
            values: values.collect(),
            open,
            overflow: labels.iter().map(|_| Overflow::default()).collect(),
            on_everything: LabelIds::mask(labels.iter().map(|label| label.on == On::Everything)),
            reads_response: labels.iter().any(HttpLabel::reads_response),
        }
    }

    fn iter(&self) -> impl Iterator<Item = (usize, (&HttpLabel, &Values))> {
        self.labels.iter().zip(&self.values).enumerate()
    }

    /// Whether a label is in rows.
    pub(crate) fn has_rows(&self) -> bool {
        self.open > 0
    }

    /// The limits of the labels in rows.
    pub(crate) fn open_limits(&self) -> impl Iterator<Item = usize> {
        self.open_labels()
            .filter_map(|i| self.labels.get(i)?.values.limit())
    }

    /// The ids of the values that are read from the request.
    pub(crate) fn of_request(&self, request: RequestHead<'_>) -> LabelIds {
        let mut ids = LabelIds::default();
        for (i, (label, values)) in self.iter() {
            ids.set(i, values.id(label.of_request(request).as_deref()));
        }
        ids
    }

    /// The values that are read from the request, if open labels are in rows.
    pub(crate) fn values_of_request<'a>(&self, request: RequestHead<'a>) -> CustomValues<'a> {
        let mut read = self.values_of_series(LabelIds::default(), std::iter::empty());
        for (i, (label, values)) in self.iter() {
            let value = label.of_request(request).unwrap_or_default();
            values.set(i, label, value, &mut read);
        }
        read
    }

    /// The values that series have: the ids of listed ones, and the texts of open ones, if any is present.
    pub(crate) fn values_of_series<'a>(
        &self,
        ids: LabelIds,
        open: impl Iterator<Item = &'a str>,
    ) -> CustomValues<'a> {
        CustomValues::new(ids, self.open, open)
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

    /// Whether a label is read from the response.
    pub(crate) fn reads_response(&self) -> bool {
        self.reads_response
    }

    /// Replaces the values that are read from the response, if open labels are in rows.
    pub(crate) fn read_response_values<'a>(
        &self,
        response: ResponseHead<'a>,
        read: &mut CustomValues<'a>,
    ) {
        for (i, (label, values)) in self.iter() {
            if let Some(value) = label.of_response(response) {
                values.set(i, label, value, read);
            }
        }
    }

    /// Replaces the values that are read when a request ends.
    pub(crate) fn read_outcome(&self, outcome: RequestOutcome<'_>, ids: &mut LabelIds) {
        for (i, (label, values)) in self.iter() {
            if let Some(value) = value_of_outcome(label, outcome) {
                ids.set(i, values.id(Some(&value)));
            }
        }
    }

    /// Replaces the values that are read when a request ends, if open labels are in rows.
    pub(crate) fn read_outcome_values<'a>(
        &self,
        outcome: RequestOutcome<'a>,
        read: &mut CustomValues<'a>,
    ) {
        for (i, (label, values)) in self.iter() {
            if let Some(value) = value_of_outcome(label, outcome) {
                values.set(i, label, value, read);
            }
        }
    }

    /// Keeps the labels that all metrics have, and makes the others absent.
    #[inline]
    pub(crate) fn on_everything(&self, ids: LabelIds) -> LabelIds {
        ids.only(self.on_everything)
    }

    /// The indexes of the labels in rows.
    pub(crate) fn open_labels(&self) -> impl Iterator<Item = usize> {
        let in_rows = self.iter().filter(|(_, (_, values))| values.are_in_rows());
        in_rows.map(|(i, _)| i)
    }

    /// The lifetime of series with these ids: those with a value that is not listed can expire.
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
    pub(crate) fn value(&self, label: usize, ids: LabelIds) -> CustomValue {
        match &self.values[label] {
            Values::Ids(values) => CustomValue::Name(values.name(ids.get(label))),
            Values::InRows(index) => CustomValue::InRow(*index),
        }
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
            let cause = || match &self.values[i] {
                Values::Ids(values) => values.overflow_cause(label),
                Values::InRows(_) => OverflowCause::TooLong,
            };
            self.overflow[i].count(sink, family, &label.name, cause);
        }
    }

    /// Counts values in rows that are recorded as `overflow`, for the metric `family`. `is_full` returns whether the
    /// label with an index has its maximum number of values.
    pub(crate) fn count_open_overflow<'a>(
        &self,
        mut open: impl Iterator<Item = &'a str>,
        sink: &WeakSink,
        family: &str,
        is_full: impl Fn(usize) -> bool,
    ) {
        for (i, (label, values)) in self.iter() {
            let Values::InRows(index) = values else {
                continue;
            };
            // In the order of the rows' values.
            if open.next() != Some(OVERFLOW) {
                continue;
            }
            let cause = || match label.values.limit().filter(|_| is_full(*index)) {
                Some(limit) => full_cause(label, limit),
                None => OverflowCause::TooLong,
            };
            self.overflow[i].count(sink, family, &label.name, cause);
        }
    }
}

/// The value of a label when a request ends. It may end in a destructor, and while its thread unwinds: a panic of the
/// function would abort the process, so it is caught.
fn value_of_outcome<'a>(label: &HttpLabel, outcome: RequestOutcome<'a>) -> Option<Cow<'a, str>> {
    catch_unwind(AssertUnwindSafe(|| label.of_outcome(outcome))).unwrap_or_default()
}

impl Values {
    fn are_in_rows(&self) -> bool {
        matches!(self, Self::InRows(_))
    }

    /// The id of a value; `ABSENT` for a value in rows.
    fn id(&self, value: Option<&str>) -> u16 {
        match self {
            Self::Ids(values) => values.id(value),
            Self::InRows(_) => ABSENT,
        }
    }

    /// Sets the value of a label in `read`. `i` is the index of the label.
    fn set<'a>(
        &self,
        i: usize,
        label: &HttpLabel,
        value: Cow<'a, str>,
        read: &mut CustomValues<'a>,
    ) {
        match self {
            Self::Ids(values) => read.ids.set(i, values.id(Some(&value))),
            Self::InRows(index) => read.set_open(*index, value, label.ignores_case),
        }
    }
}
