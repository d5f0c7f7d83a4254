//! The registry as a `metrics::Recorder`.

use std::borrow::Cow;
use std::sync::Arc;

use metrics::{Key, KeyName, Metadata, Recorder, SharedString, Unit};

use super::Registry;
use super::families::Shape;
use super::family::About;

impl Registry {
    fn describe(&self, shape: Shape, name: &KeyName, unit: Option<Unit>, help: &str) {
        let help = Some(Arc::from(help)).filter(|help: &Arc<str>| !help.is_empty());
        let about = About { help, unit };
        self.inner.families.describe(shape, name.as_str(), about);
    }
}

/// What the macros of the `metrics` crate write to.
///
/// Names that Prometheus could not read are mended: `my.counter` is shown as `my_counter`, and only
/// where two would then be the same, the later one gets Prometheus' `U__` escaping, with a warning.
/// A description counts whether it comes before or after the first sample; the last one wins.
impl Recorder for Registry {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(Shape::Counter, &key, unit, &description);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(Shape::Gauge, &key, unit, &description);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(Shape::Histogram, &key, unit, &description);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> metrics::Counter {
        metrics::Counter::from_arc(self.counter(Cow::Borrowed(key)))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> metrics::Gauge {
        metrics::Gauge::from_arc(self.gauge(Cow::Borrowed(key)))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> metrics::Histogram {
        metrics::Histogram::from_arc(self.histogram(Cow::Borrowed(key)))
    }
}
