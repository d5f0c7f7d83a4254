//! [`Overflow`]: counts label values beyond the limit of their label.

use std::sync::OnceLock;

use crate::model::kind::Instrument;
use crate::model::spec::{FamilyMetadata, FamilySpec};
use crate::sink::handles::CounterHandle;
use crate::sink::{Sink, owned_key};

/// The label value that replaces values beyond a limit.
pub(crate) const OVERFLOW: &str = "overflow";

const OVERFLOW_FAMILY: &str = "metrics_label_overflow_total";

/// The number of observations recorded as overflow of one label. Its series is registered by the first of
/// them.
#[derive(Default)]
pub(crate) struct Overflow {
    counter: OnceLock<CounterHandle>,
}

impl Overflow {
    /// Counts an observation recorded as overflow, and logs a warning for the first one.
    pub(crate) fn count(&self, sink: &Sink, family: &str, label: &str) {
        let mut first = false;
        let counter = self.counter.get_or_init(|| {
            first = true;
            let labels = [("family", family), ("label", label)];
            sink.counter(owned_key(OVERFLOW_FAMILY, &labels))
        });
        counter.increment();
        if first {
            tracing::warn!(
                "label {label:?} of {family} has more values than it may: further ones are counted as {OVERFLOW:?}"
            );
        }
    }
}

/// The definition of the overflow counter. All layers of a registry share it, even with different constant
/// labels.
pub(crate) fn overflow_spec() -> FamilySpec {
    FamilySpec {
        name: OVERFLOW_FAMILY.to_owned(),
        instrument: Instrument::Counter,
        metadata: FamilyMetadata {
            help: Some(
                "What was counted as \"overflow\" because a label had too many values.".into(),
            ),
            unit: None,
        },
        label_names: vec!["family".to_owned(), "label".to_owned()],
        buckets: None,
        exemplars: false,
    }
}
