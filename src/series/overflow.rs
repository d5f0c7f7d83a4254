//! [`Overflow`]: what is beyond the cap of a label, made visible.

use std::sync::OnceLock;

use crate::labels::OVERFLOW;
use crate::registry::{About, FamilySpec, Shape};
use crate::target::{Counter, Target, owned_key};

const OVERFLOW_FAMILY: &str = "metrics_label_overflow_total";

/// What is beyond the cap of one label; the series exists from the first of them.
#[derive(Default)]
pub(crate) struct Overflow {
    counter: OnceLock<Counter>,
}

impl Overflow {
    /// Counts one more; the first of them is warned of.
    pub(crate) fn count(&self, target: &Target, family: &str, label: &str) {
        let mut first = false;
        let counter = self.counter.get_or_init(|| {
            first = true;
            let labels = [("family", family), ("label", label)];
            target.counter(owned_key(OVERFLOW_FAMILY, &labels))
        });
        counter.increment();
        if first {
            tracing::warn!(
                "label {label:?} of {family} has more values than it may: further ones are counted as {OVERFLOW:?}"
            );
        }
    }
}

/// Shared by all layers of a registry, whatever their constant labels.
pub(crate) fn overflow_spec() -> FamilySpec {
    FamilySpec {
        name: OVERFLOW_FAMILY.to_owned(),
        shape: Shape::Counter,
        about: About {
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
