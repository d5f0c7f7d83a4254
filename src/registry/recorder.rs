//! The registry as a `metrics::Recorder`.

use std::borrow::Cow;
use std::sync::Arc;

use metrics::{Key, KeyName, Metadata, Recorder, SharedString, Unit};

use crate::model::kind::Instrument;
#[cfg(feature = "summary")]
use crate::model::names::sanitize_metric_name;
use crate::model::spec::FamilyMetadata;
use crate::registry::Registry;
use crate::registry::lifetime::Lifetime;
#[cfg(feature = "summary")]
use crate::registry::{RegistryInner, handles::RegistrySummary};

impl Registry {
    fn describe(&self, instrument: Instrument, name: &KeyName, unit: Option<Unit>, help: &str) {
        let help = Some(Arc::from(help)).filter(|help: &Arc<str>| !help.is_empty());
        let metadata = FamilyMetadata { help, unit };
        self.inner
            .families
            .describe(instrument, name.as_str(), metadata);
    }

    /// Returns the summary of a histogram of a macro; `None` if it is exported as a histogram.
    #[cfg(feature = "summary")]
    fn summary_of(&self, key: &Key) -> Option<Arc<RegistrySummary>> {
        let RegistryInner {
            histogram_rules: rules,
            families,
            histograms,
            summaries,
            ..
        } = &*self.inner;
        if rules.summaries.is_empty() {
            return None;
        }
        // Fast path: the series is registered.
        if let Some(summary) = summaries.get(key, &Lifetime::Expiring) {
            return Some(summary);
        }
        // A histogram that a layer or a catalogue has registered stays one.
        if histograms.get(key, &Lifetime::Expiring).is_some() || families.has_histogram(key.name())
        {
            return None;
        }
        let unit = families.described_unit(Instrument::Histogram, key.name());
        let is_summary = rules.is_summary(&sanitize_metric_name(key.name()), unit);
        is_summary.then(|| self.register_summary_series(Cow::Borrowed(key), &Lifetime::Expiring))
    }
}

/// Records what the macros of the `metrics` crate observe.
///
/// The labels of macros have no limit. Series stay, unless [`idle_timeout`](crate::RegistryBuilder::idle_timeout) is set
/// or they are [removed](Registry::remove).
///
/// `absolute` of a counter raises its total to a value. If the series has expired, and no handle of it was kept, it returns
/// with this whole value: to continue a total of another source, keep the handle.
///
/// The macros must be those of `metrics` 0.24. Macros of another version, such as 0.23, look for a recorder of that
/// version: they record nothing, without a warning. `cargo tree -i metrics` shows whether a program has two versions.
///
/// Invalid names are sanitized: `my.counter` is exported as `my_counter`. If the sanitized name is taken, or is
/// a reserved label name, Prometheus' `U__` escaping is used instead. With
/// [`utf8_names`](crate::RegistryBuilder::utf8_names), scrapers that accept UTF-8 get `my.counter`.
///
/// Metrics can be described before or after their first observation. The last description applies. The unit of a
/// histogram without buckets must be described before, because its buckets depend on it: see
/// [how histograms are exported](crate::RegistryBuilder#how-histograms-are-exported).
///
/// A metric logs a warning, once, if
///
/// - its name is escaped,
/// - the label names of a series are changed: only the first such series is named, or
/// - it is a histogram with the default buckets, and its unit is not known to be seconds or bytes.
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
        metrics::Counter::from_arc(
            self.register_counter_series(Cow::Borrowed(key), &Lifetime::Expiring),
        )
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> metrics::Gauge {
        metrics::Gauge::from_arc(
            self.register_gauge_series(Cow::Borrowed(key), &Lifetime::Expiring),
        )
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> metrics::Histogram {
        #[cfg(feature = "summary")]
        if let Some(summary) = self.summary_of(key) {
            return metrics::Histogram::from_arc(summary);
        }
        metrics::Histogram::from_arc(
            self.register_histogram_series(Cow::Borrowed(key), &Lifetime::Expiring),
        )
    }
}
