//! [`Info`]: what does not change while a process runs.

use std::fmt;
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::OnceLock;

use super::definition::Definition;
use super::description::{FamilyDescription, FamilyKind};
use super::family::Family;
use super::global::{Global, Place};
use super::labels::{LabelSet, LabelsOf, pairs};
use super::metric::Metric;
use crate::Error;
use crate::registry::Shape;
use crate::target::owned_key;

/// A gauge at 1 whose labels tell what does not change while a process runs, such as its version.
///
/// Its one series appears when it is [`set`](Self::set).
pub struct Info<Labels = ()> {
    state: &'static State,
    labels: PhantomData<fn() -> Labels>,
}

struct State {
    family: Family,
    /// Closed and open values, once they are set.
    values: OnceLock<(usize, Vec<String>)>,
}

impl State {
    fn show(&self) {
        let (Some((closed, open)), Some(target)) = (self.values.get(), self.family.target()) else {
            return;
        };
        let open: Vec<_> = open.iter().map(String::as_str).collect();
        let labels = pairs(self.family.labels, *closed, &open);
        target.info(owned_key(self.family.name(), &labels));
    }
}

impl Global for State {
    fn recorder_installed(&self) {
        self.show();
    }
}

impl<Labels: LabelSet> Info<Labels> {
    /// Shows these labels; also when a recorder is installed only later.
    ///
    /// What they say cannot change: other values are ignored later on, with a warning.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "as the other kinds take them"
    )]
    pub fn set(self, labels: impl LabelsOf<Labels>) {
        let open = labels.open();
        let open = open.as_slice().iter().map(|value| (*value).to_owned());
        let values = (labels.closed(), open.collect());
        if *self.state.values.get_or_init(|| values.clone()) != values {
            tracing::warn!(
                "{} is set already, and keeps its labels",
                self.state.family.name()
            );
        }
        self.state.show();
    }
}

impl<Labels: LabelSet> Metric for Info<Labels> {
    const KIND: FamilyKind = FamilyKind::Info;

    fn define(definition: &'static Definition, place: &Place<'_>) -> Result<Self, Error> {
        let family = Family::new(definition, (Self::KIND, Shape::Info), Labels::LABELS);
        let spec = family.spec()?;
        let leak = || -> &'static State {
            let values = OnceLock::new();
            Box::leak(Box::new(State { family, values }))
        };
        let state = match place {
            Place::On(target) => {
                let same = |state: &State| state.family.name() == definition.name;
                let state = target.family_state(&spec, same, leak)?;
                state.family.check_labels(Labels::LABELS)?;
                state.family.record_into(target)?;
                state
            }
            Place::Global => {
                let state = leak();
                super::global::wait_for_recorder(state);
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
