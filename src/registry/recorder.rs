//! The registry as a `metrics::Recorder`.

use std::borrow::Cow;
use std::sync::Arc;

use metrics::{Key, KeyName, Metadata, Recorder, SharedString, Unit};

use crate::model::kind::Instrument;
use crate::model::spec::FamilyMetadata;
use crate::registry::Registry;

impl Registry {
    fn describe(&self, instrument: Instrument, name: &KeyName, unit: Option<Unit>, help: &str) {
        let help = Some(Arc::from(help)).filter(|help: &Arc<str>| !help.is_empty());
        let metadata = FamilyMetadata { help, unit };
        self.inner
            .families
            .describe(instrument, name.as_str(), metadata);
    }
}

/// Records what the macros of the `metrics` crate observe.
///
/// The labels of macros have no limit, and series are never removed.
///
/// Invalid names are sanitized: `my.counter` is exported as `my_counter`. If the sanitized name is taken, or is
/// a reserved label name, Prometheus' `U__` escaping is used instead. A warning is logged for each escaped
/// metric name and for each series with changed label names.
///
/// Metrics can be described before or after their first observation. The last description applies.
impl Recorder for Registry {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(Instrument::Counter, &key, unit, &description);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(Instrument::Gauge, &key, unit, &description);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(Instrument::Histogram, &key, unit, &description);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> metrics::Counter {
        metrics::Counter::from_arc(self.register_counter_series(Cow::Borrowed(key)))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> metrics::Gauge {
        metrics::Gauge::from_arc(self.register_gauge_series(Cow::Borrowed(key)))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> metrics::Histogram {
        metrics::Histogram::from_arc(self.register_histogram_series(Cow::Borrowed(key)))
    }
}
