//! [`Overflow`]: counts label values beyond the limit of their label.

use std::fmt;
use std::sync::OnceLock;

use crate::maps::MAX_NAME_LEN;
use crate::model::kind::Instrument;
use crate::model::spec::{FamilyMetadata, FamilySpec};
use crate::sink::handles::CounterHandle;
use crate::sink::{Sink, owned_key};

/// The label value that replaces values beyond a limit.
pub(crate) const OVERFLOW: &str = "overflow";

const OVERFLOW_FAMILY: &str = "metrics_label_overflow_total";

/// Why a label value is recorded as overflow, for the warning.
pub(crate) enum OverflowCause {
    /// The label has its maximum number of values. `advice` names the setting to change.
    Full { limit: usize, advice: &'static str },
    /// The value is not among the values that the configuration lists.
    NotListed { listed: usize, advice: &'static str },
    /// The value is longer than [`MAX_NAME_LEN`].
    TooLong,
}

impl fmt::Display for OverflowCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { limit, advice } => write!(
                f,
                "reached its limit of {limit} values; new values are recorded as {OVERFLOW:?}; {advice}"
            ),
            Self::NotListed { listed, advice } => write!(
                f,
                "got a value that is not one of its {listed} listed values; such values are recorded as \
                 {OVERFLOW:?}; {advice}"
            ),
            Self::TooLong => write!(
                f,
                "got a value longer than {MAX_NAME_LEN} bytes; such values are recorded as {OVERFLOW:?}; \
                 shorten the value"
            ),
        }
    }
}

/// Counts the values of one label that are recorded as overflow. Its series is registered when the first value
/// overflows.
#[derive(Default)]
pub(crate) struct Overflow {
    counter: OnceLock<CounterHandle>,
}

impl Overflow {
    /// Counts a value recorded as overflow. The first one also logs a warning with the `cause`.
    pub(crate) fn count(
        &self,
        sink: &Sink,
        family: &str,
        label: &str,
        cause: impl FnOnce() -> OverflowCause,
    ) {
        let mut first = false;
        let counter = self.counter.get_or_init(|| {
            first = true;
            let labels = [("family", family), ("label", label)];
            sink.counter(owned_key(OVERFLOW_FAMILY, &labels))
        });
        counter.increment();
        if first {
            tracing::warn!("{family}: label {label:?} {}", cause());
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
                "Total number of label values recorded as \"overflow\", by metric and label."
                    .into(),
            ),
            unit: None,
        },
        label_names: vec!["family".to_owned(), "label".to_owned()],
        buckets: None,
        exemplars: false,
    }
}
