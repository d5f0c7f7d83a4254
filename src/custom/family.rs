//! [`CustomFamily`]: a metric of a catalogue and its sink.

use std::sync::OnceLock;

use crate::custom::definition::Definition;
use crate::custom::label_spec::{LabelSpec, SpecValues};
use crate::error::Error;
use crate::maps::MAX_NAME_LEN;
use crate::model::bounds::Buckets;
use crate::model::kind::Instrument;
use crate::model::spec::{FamilyMetadata, FamilySpec};
use crate::registry::hooks;
use crate::sink::Sink;
use crate::sink::overflow::{Overflow, OverflowCause, OverflowEffect, overflow_spec};
use crate::sink::weak::WeakSink;

/// A metric of a catalogue and its sink, which is not known before a recorder is installed.
pub(crate) struct CustomFamily {
    pub(super) definition: &'static Definition,
    pub(super) instrument: Instrument,
    /// Without the label for the states of a state set.
    pub(super) labels: &'static [LabelSpec],
    /// The states of a state set, otherwise empty.
    pub(super) states: &'static [&'static str],
    /// Empty until a recorder is installed; `None` if the recorder refused the metric.
    sink: OnceLock<Option<WeakSink>>,
    open: Box<[OpenLabel]>,
}

/// An open label.
struct OpenLabel {
    name: &'static str,
    limit: usize,
    overflow: Overflow,
}

impl CustomFamily {
    pub(super) fn new(
        definition: &'static Definition,
        instrument: Instrument,
        labels: &'static [LabelSpec],
        states: &'static [&'static str],
    ) -> Self {
        let effect = match instrument {
            Instrument::Gauge => OverflowEffect::SetIgnored,
            Instrument::StateSet => OverflowEffect::Ignored,
            _ => OverflowEffect::Recorded,
        };
        let open = labels.iter().filter_map(|label| match label.values {
            SpecValues::Closed(_) => None,
            SpecValues::Open(at_most) => Some(OpenLabel::new(label.name, at_most, effect)),
        });
        Self {
            definition,
            instrument,
            labels,
            states,
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
            label_names: self.label_names(),
            buckets,
            exemplars: false,
        })
    }

    fn label_names(&self) -> Vec<String> {
        let state = (self.instrument == Instrument::StateSet).then(|| self.name());
        let names = self.labels.iter().map(|label| label.name);
        names.chain(state).map(str::to_owned).collect()
    }

    /// Returns an error if the labels were registered with other values or limits, or a state set with other states.
    pub(super) fn check_labels(&self, labels: &[LabelSpec], states: &[&str]) -> Result<(), Error> {
        if self.states != states {
            return Err(Error::conflict(format!(
                "{:?} is already registered with the states {:?}, now with {states:?}; use the same states or another name",
                self.name(),
                self.states,
            )));
        }
        if self.labels == labels {
            return Ok(());
        }
        // The names are equal: the registry compares them when the metric is registered.
        let differing = self.labels.iter().zip(labels).find(|(a, b)| a != b);
        let differing = differing.map_or_else(String::new, |(known, new)| {
            format!(
                ": label {:?} has {}, now {}",
                known.name, known.values, new.values
            )
        });
        Err(Error::conflict(format!(
            "{:?} is already registered with other label values{differing}; use the same labels or another name",
            self.name()
        )))
    }

    /// The sink, if the metric can be recorded.
    #[inline]
    pub(super) fn recording_sink(&self) -> Option<&WeakSink> {
        match self.sink.get() {
            Some(sink) => sink.as_ref(),
            None => self.find_sink(),
        }
    }

    pub(super) fn records_into_registry(&self) -> bool {
        self.recording_sink().is_some_and(WeakSink::is_registry)
    }

    /// Sets the sink. The metric is already registered in it.
    pub(super) fn record_into(&self, sink: &Sink) -> Result<(), Error> {
        if !self.open.is_empty() {
            sink.register(&overflow_spec())?;
        }
        // Another thread may have set it first, to the same sink.
        if self.sink.set(Some(sink.downgrade())).is_ok() {
            sink.warn_if_buckets_are_ignored(self.name(), self.definition.buckets);
        }
        Ok(())
    }

    /// Registers the metric in the global recorder if one has been installed.
    #[cold]
    fn find_sink(&self) -> Option<&WeakSink> {
        let sink = Sink::installed()?;
        let declared = self.spec().and_then(|spec| sink.register_family(&spec));
        let recording = declared.and_then(|()| self.record_into(&sink));
        if let Err(error) = recording
            && self.sink.set(None).is_ok()
        {
            tracing::error!("{} is not recorded: {error}", self.name());
        }
        // A recorder of another crate does not run the hooks when it is installed, so the first metric that
        // finds it does.
        hooks::recorder_installed();
        self.sink.get()?.as_ref()
    }

    #[inline]
    pub(super) fn has_open_labels(&self) -> bool {
        !self.open.is_empty()
    }

    /// Counts a value of `len` bytes of an open label that is replaced by `overflow`.
    pub(super) fn count_overflow(&self, label: usize, len: usize) {
        if let (Some(label), Some(sink)) = (self.open.get(label), self.recording_sink()) {
            let cause = || label.overflow_cause(len);
            label.overflow.count(sink, self.name(), label.name, cause);
        }
    }
}

impl OpenLabel {
    fn new(name: &'static str, at_most: usize, effect: OverflowEffect) -> Self {
        Self {
            name,
            limit: at_most,
            overflow: Overflow::new(effect),
        }
    }

    /// Why a value of `len` bytes is replaced by `overflow`.
    fn overflow_cause(&self, len: usize) -> OverflowCause {
        if len > MAX_NAME_LEN {
            return OverflowCause::TooLong;
        }
        OverflowCause::Full {
            limit: self.limit,
            advice: "raise the limit of `open` in `labels!`",
        }
    }
}
