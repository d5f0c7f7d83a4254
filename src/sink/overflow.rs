//! [`Overflow`]: counts label values beyond the limit of their label.

use std::fmt;
use std::sync::OnceLock;

use crate::maps::MAX_NAME_LEN;
use crate::model::kind::Instrument;
use crate::model::spec::{FamilyMetadata, FamilySpec};
use crate::registry::lifetime::Lifetime;
use crate::sink::handles::CounterHandle;
use crate::sink::owned_key;
use crate::sink::weak::WeakSink;

/// The label value that replaces values beyond a limit.
pub(crate) const OVERFLOW: &str = "overflow";

const OVERFLOW_FAMILY: &str = "metrics_label_overflow_total";

/// Why a label value is replaced by `overflow`, for the warning.
pub(crate) enum OverflowCause {
    /// The label has its maximum number of values. `advice` names the setting to change.
    Full { limit: usize, advice: &'static str },
    /// The value is not among the values that the configuration lists.
    NotListed { listed: usize, advice: &'static str },
    /// The value is longer than [`MAX_NAME_LEN`].
    TooLong,
}

impl OverflowCause {
    fn text(&self, effect: OverflowEffect) -> String {
        match self {
            Self::Full { limit, advice } => {
                format!("reached its limit of {limit} values; new values {effect}; {advice}")
            }
            Self::NotListed { listed, advice } => format!(
                "got a value that is not one of its {listed} listed values; such values {effect}; {advice}"
            ),
            Self::TooLong => format!(
                "got a value longer than {MAX_NAME_LEN} bytes; such values {effect}; shorten the value"
            ),
        }
    }
}

/// How the metric of a label records overflow, for the warning.
#[derive(Clone, Copy, Default)]
pub(crate) enum OverflowEffect {
    #[default]
    Recorded,
    /// In a gauge that can be set: the values of several series cannot be in one.
    SetIgnored,
    /// In a state set, for the same reason.
    Ignored,
}

impl fmt::Display for OverflowEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recorded => write!(f, "are recorded as {OVERFLOW:?}"),
            Self::Ignored => f.write_str("are not recorded"),
            Self::SetIgnored => write!(
                f,
                "are ignored by `set` and recorded as {OVERFLOW:?} by `add`"
            ),
        }
    }
}

/// Counts the values of one label that are replaced by `overflow`. Its series is registered when the first value
/// overflows.
#[derive(Default)]
pub(crate) struct Overflow {
    effect: OverflowEffect,
    counter: OnceLock<CounterHandle>,
}

impl Overflow {
    pub(crate) fn new(effect: OverflowEffect) -> Self {
        Self {
            effect,
            counter: OnceLock::new(),
        }
    }

    /// Counts a value that is replaced by `overflow`. The first one also logs a warning with the `cause`.
    pub(crate) fn count(
        &self,
        sink: &WeakSink,
        family: &str,
        label: &str,
        cause: impl FnOnce() -> OverflowCause,
    ) {
        let mut first = false;
        let counter = self.counter.get_or_init(|| {
            first = true;
            let labels = [("family", family), ("label", label)];
            let key = owned_key(OVERFLOW_FAMILY, &labels);
            sink.upgrade().counter(key, &Lifetime::Permanent)
        });
        counter.increment();
        if first {
            tracing::warn!("{family}: label {label:?} {}", cause().text(self.effect));
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
                "Total number of label values beyond the limit of their label, by metric and label."
                    .into(),
            ),
            unit: None,
        },
        label_names: vec!["family".to_owned(), "label".to_owned()],
        buckets: None,
        exemplars: false,
    }
}
