//! [`Family`]: where the numbers of one family of a catalogue go, once that is known.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use super::definition::Definition;
use super::description::FamilyKind;
use super::labels::{LabelSpec, Values};
use super::tree::{Keyed, Tree};
use crate::Error;
use crate::registry::{About, Buckets, FamilySpec, Shape};
use crate::series::{Overflow, overflow_spec};
use crate::sync::lock;
use crate::target::Target;

/// One family, what it is about and where it is recorded.
pub(super) struct Family {
    pub(super) definition: &'static Definition,
    pub(super) kind: FamilyKind,
    pub(super) shape: Shape,
    pub(super) labels: &'static [LabelSpec],
    /// Empty until a recorder is there; `None` when that one refused the family.
    target: OnceLock<Option<Target>>,
    open: Box<[OpenLabel]>,
}

/// The values that an open label has had so far.
struct OpenLabel {
    name: &'static str,
    at_most: usize,
    known: Tree<Known>,
    len: AtomicUsize,
    /// Held while a value is added.
    adding: Mutex<()>,
    overflow: Overflow,
}

/// A value that an open label has had.
struct Known([Box<str>; 1]);

impl Keyed for Known {
    fn key(&self) -> &[Box<str>] {
        &self.0
    }
}

impl Family {
    pub(super) fn new(
        definition: &'static Definition,
        (kind, shape): (FamilyKind, Shape),
        labels: &'static [LabelSpec],
    ) -> Self {
        let open = labels.iter().filter_map(|label| match label.values {
            Values::Closed(_) => None,
            Values::Open(at_most) => Some(OpenLabel::new(label.name, at_most)),
        });
        Self {
            definition,
            kind,
            shape,
            labels,
            target: OnceLock::new(),
            open: open.collect(),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        self.definition.name
    }

    pub(super) fn spec(&self) -> Result<FamilySpec, Error> {
        let bounds = self.definition.bounds(self.kind);
        let buckets = match self.kind {
            FamilyKind::Histogram => Some(Buckets::new(bounds.iter().copied())?),
            _ => None,
        };
        Ok(FamilySpec {
            name: self.name().to_owned(),
            shape: self.shape,
            about: About {
                help: Some(self.definition.help().into()),
                unit: self.definition.unit,
            },
            label_names: self
                .labels
                .iter()
                .map(|label| label.name.to_owned())
                .collect(),
            buckets,
            exemplars: false,
        })
    }

    /// Refuses other values of the same labels.
    pub(super) fn check_labels(&self, labels: &[LabelSpec]) -> Result<(), Error> {
        if self.labels == labels {
            return Ok(());
        }
        Err(Error::new(format!(
            "{:?} is already registered with other values of its labels",
            self.name()
        )))
    }

    /// Where to record, if there is a place.
    #[inline]
    pub(super) fn target(&self) -> Option<&Target> {
        match self.target.get() {
            Some(target) => target.as_ref(),
            None => self.find_target(),
        }
    }

    /// Records there from now on, where the family was declared.
    pub(super) fn record_into(&self, target: &Target) -> Result<(), Error> {
        if !self.open.is_empty() {
            target.declare(&overflow_spec())?;
        }
        // Another thread may have been here first, with the same target.
        let _ = self.target.set(Some(target.clone()));
        Ok(())
    }

    /// Looks whether a global recorder has been installed since.
    #[cold]
    fn find_target(&self) -> Option<&Target> {
        let target = Target::installed()?;
        let declared = self.spec().and_then(|spec| target.declare_family(&spec));
        let recording = declared.and_then(|()| self.record_into(&target));
        if let Err(error) = recording
            && self.target.set(None).is_ok()
        {
            tracing::error!("{} is not recorded: {error}", self.name());
        }
        // A recorder of another crate tells nobody that it was installed: who finds it tells the others.
        super::global::recorder_installed();
        self.target.get()?.as_ref()
    }

    /// The values that are recorded for these: too many are `overflow`.
    pub(super) fn admit(&self, values: &mut [&str]) {
        for (label, value) in self.open.iter().zip(values) {
            if !label.admits(value) {
                *value = crate::labels::OVERFLOW;
                if let Some(target) = self.target() {
                    label.overflow.count(target, self.name(), label.name);
                }
            }
        }
    }
}

/// Values are kept for ever, and can come from outside.
const LONGEST: usize = 1024;

impl OpenLabel {
    fn new(name: &'static str, at_most: usize) -> Self {
        Self {
            name,
            at_most,
            known: Tree::default(),
            len: AtomicUsize::new(0),
            adding: Mutex::new(()),
            overflow: Overflow::default(),
        }
    }

    fn admits(&self, value: &str) -> bool {
        if self.known.get(&[value]).is_some() {
            return true;
        }
        if self.is_full() || value.len() > LONGEST {
            return false;
        }
        let _adding = lock(&self.adding);
        if self.known.get(&[value]).is_some() {
            return true;
        }
        if self.is_full() {
            return false;
        }
        self.known.get_or_insert(&[value], || Known([value.into()]));
        self.len.fetch_add(1, Ordering::Release);
        true
    }

    fn is_full(&self) -> bool {
        self.len.load(Ordering::Acquire) >= self.at_most
    }
}
