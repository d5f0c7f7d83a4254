//! [`Info`]: a gauge with the value 1 whose labels do not change.

use std::fmt;
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::OnceLock;

use crate::custom::definition::Definition;
use crate::custom::destination::Destination;
use crate::custom::family::CustomFamily;
use crate::custom::label_spec::{LabelSpec, pairs};
use crate::custom::labels::{LabelSet, LabelsOf};
use crate::custom::metric::Metric;
use crate::error::Error;
use crate::model::description::FamilyDescription;
use crate::model::kind::Instrument;
use crate::model::kind::MetricKind;
use crate::model::label_text::label_text;
use crate::registry::hooks::{self, InstallHook};
use crate::sink::owned_key;

/// A gauge with the value 1 whose labels hold facts that do not change while the process runs, such as its
/// version.
///
/// It has one series, which is exported once its labels are [`set`](Self::set). The text format and recorders of
/// other crates export it as a gauge.
pub struct Info<Labels = ()> {
    state: &'static InfoState,
    labels: PhantomData<fn() -> Labels>,
}

struct InfoState {
    family: CustomFamily,
    /// The index of the closed values, and the open values. Empty until they are set.
    values: OnceLock<(usize, Vec<String>)>,
}

impl InfoState {
    /// The labels as text, for a warning.
    fn text(&self, (closed, open): &(usize, Vec<String>)) -> String {
        let open: Vec<_> = open.iter().map(String::as_str).collect();
        label_text(pairs(self.family.labels, *closed, &open).into_iter())
    }

    fn register(&self) {
        let (Some((closed, open)), Some(sink)) = (self.values.get(), self.family.recording_sink())
        else {
            return;
        };
        let open: Vec<_> = open.iter().map(String::as_str).collect();
        let labels = pairs(self.family.labels, *closed, &open);
        sink.upgrade().info(owned_key(self.family.name(), &labels));
    }
}

impl InstallHook for InfoState {
    fn recorder_installed(&self) {
        self.register();
    }
}

impl<Labels: LabelSet> Info<Labels> {
    /// Sets the labels. They cannot be changed: other values are ignored later, with a warning.
    ///
    /// If no recorder is installed yet, the labels are kept and exported once one is installed.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the other metric types take labels by value as well"
    )]
    pub fn set(self, labels: impl LabelsOf<Labels>) {
        let open = labels.open();
        let open = open.as_slice().iter().map(|value| (*value).to_owned());
        let values = (labels.closed(), open.collect());
        let kept = self.state.values.get_or_init(|| values.clone());
        if *kept != values {
            tracing::warn!(
                "{}: the labels are already set to {{{}}} and cannot be changed; {{{}}} is ignored",
                self.state.family.name(),
                self.state.text(kept),
                self.state.text(&values),
            );
        }
        self.state.register();
    }
}

impl<Labels: LabelSet> Metric for Info<Labels> {
    const KIND: MetricKind = MetricKind::Info;
    const LABELS: &'static [LabelSpec] = Labels::LABELS;

    fn define(
        definition: &'static Definition,
        destination: &Destination<'_>,
    ) -> Result<Self, Error> {
        let family = CustomFamily::new(definition, Instrument::Info, Labels::LABELS, &[]);
        let spec = family.spec()?;
        let leak = || -> &'static InfoState {
            let values = OnceLock::new();
            Box::leak(Box::new(InfoState { family, values }))
        };
        let state = match destination {
            Destination::On(sink) => {
                let same = |state: &InfoState| state.family.name() == definition.name;
                let state = sink.family_state(&spec, same, leak)?;
                state.family.check_labels(Labels::LABELS, &[])?;
                state.family.record_into(sink)?;
                state
            }
            Destination::Global => {
                let state = leak();
                hooks::on_install(state);
                state
            }
        };
        Ok(Self {
            state,
            labels: PhantomData,
        })
    }

    fn describe(definition: &Definition) -> FamilyDescription {
        definition.describe(Self::KIND, Labels::LABELS)
    }
}

impl<Labels> Clone for Info<Labels> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Labels> Copy for Info<Labels> {}

impl<Labels> UnwindSafe for Info<Labels> {}
impl<Labels> RefUnwindSafe for Info<Labels> {}

impl<Labels> fmt::Debug for Info<Labels> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Info {}", self.state.family.name())
    }
}
