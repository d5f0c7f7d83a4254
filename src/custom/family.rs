//! [`CustomFamily`]: where the numbers of one family of a catalogue go, once that is known.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use crate::custom::definition::Definition;
use crate::custom::label_spec::{LabelSpec, SpecValues};
use crate::error::Error;
use crate::maps::MAX_NAME_LEN;
use crate::maps::tree::{Keyed, Tree};
use crate::model::bounds::Buckets;
use crate::model::kind::Instrument;
use crate::model::spec::{FamilyMetadata, FamilySpec};
use crate::registry::hooks;
use crate::sink::Sink;
use crate::sink::overflow::{OVERFLOW, Overflow, overflow_spec};
use crate::sync::lock;

/// One family, what it is about and where it is recorded.
pub(super) struct CustomFamily {
    pub(super) definition: &'static Definition,
    pub(super) instrument: Instrument,
    pub(super) labels: &'static [LabelSpec],
    /// Empty until a recorder is there; `None` when that one refused the family.
    sink: OnceLock<Option<Sink>>,
    open: Box<[OpenLabel]>,
}

/// The values that an open label has had so far.
struct OpenLabel {
    name: &'static str,
    at_most: usize,
    known: Tree<KnownValue>,
    len: AtomicUsize,
    /// Held while a value is added.
    adding: Mutex<()>,
    overflow: Overflow,
}

/// A value that an open label has had.
struct KnownValue([Box<str>; 1]);

impl Keyed for KnownValue {
    fn key(&self) -> &[Box<str>] {
        &self.0
    }
}

impl CustomFamily {
    pub(super) fn new(
        definition: &'static Definition,
        instrument: Instrument,
        labels: &'static [LabelSpec],
    ) -> Self {
        let open = labels.iter().filter_map(|label| match label.values {
            SpecValues::Closed(_) => None,
            SpecValues::Open(at_most) => Some(OpenLabel::new(label.name, at_most)),
        });
        Self {
            definition,
            instrument,
            labels,
            sink: OnceLock::new(),
            open: open.collect(),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        self.definition.name
    }

    pub(super) fn spec(&self) -> Result<FamilySpec, Error> {
        let bounds = self.definition.bounds(self.instrument.kind());
        let buckets = match self.instrument {
            Instrument::Histogram => Some(Buckets::new(bounds.iter().copied())?),
            _ => None,
        };
        Ok(FamilySpec {
            name: self.name().to_owned(),
            instrument: self.instrument,
            metadata: FamilyMetadata {
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
    pub(super) fn target(&self) -> Option<&Sink> {
        match self.sink.get() {
            Some(sink) => sink.as_ref(),
            None => self.find_target(),
        }
    }

    /// Records there from now on, where the family was declared.
    pub(super) fn record_into(&self, sink: &Sink) -> Result<(), Error> {
        if !self.open.is_empty() {
            sink.register(&overflow_spec())?;
        }
        // Another thread may have been here first, with the same sink.
        let _ = self.sink.set(Some(sink.clone()));
        Ok(())
    }

    /// Looks whether a global recorder has been installed since.
    #[cold]
    fn find_target(&self) -> Option<&Sink> {
        let sink = Sink::installed()?;
        let declared = self.spec().and_then(|spec| sink.register_family(&spec));
        let recording = declared.and_then(|()| self.record_into(&sink));
        if let Err(error) = recording
            && self.sink.set(None).is_ok()
        {
            tracing::error!("{} is not recorded: {error}", self.name());
        }
        // A recorder of another crate tells nobody that it was installed: who finds it tells the others.
        hooks::recorder_installed();
        self.sink.get()?.as_ref()
    }

    /// The values that are recorded for these: too many are `overflow`.
    pub(super) fn admit(&self, values: &mut [&str]) {
        for (label, value) in self.open.iter().zip(values) {
            if !label.admits(value) {
                *value = OVERFLOW;
                if let Some(sink) = self.target() {
                    label.overflow.count(sink, self.name(), label.name);
                }
            }
        }
    }
}

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
        if self.is_full() || value.len() > MAX_NAME_LEN {
            return false;
        }
        let _adding = lock(&self.adding);
        if self.known.get(&[value]).is_some() {
            return true;
        }
        if self.is_full() {
            return false;
        }
        self.known
            .get_or_insert(&[value], || KnownValue([value.into()]));
        self.len.fetch_add(1, Ordering::Release);
        true
    }

    fn is_full(&self) -> bool {
        self.len.load(Ordering::Acquire) >= self.at_most
    }
}
