//! [`KnownSeries`]: finds what changed since the last sample.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use tower_prometheus::Registry;
use tower_prometheus::snapshot::{FamilySnapshot, SeriesSnapshot, Snapshot, Value};

use crate::layers::Layers;
use crate::native::NativeReading;
use crate::tick::{FamilyInfo, Reading, SeriesInfo, Tick};

/// The series of the last sample with their ids and values.
#[derive(Debug)]
pub(crate) struct KnownSeries {
    max_series: usize,
    layers: Layers,
    /// The families of each name: several if their series have different types or bounds.
    families: HashMap<String, Vec<Arc<FamilyInfo>>>,
    series: HashMap<Box<str>, Known>,
    /// Ids are not used again.
    next_family: u32,
    next_series: u32,
    /// The number of the current sample.
    sample: u64,
}

#[derive(Debug)]
struct Known {
    id: u32,
    reading: Reading,
    /// The sample in which the series was last seen.
    sample: u64,
}

/// The size of values that are read before other tasks may run, as [`Reading::size`] returns it: about 0.1 ms of work.
const SLICE: usize = 800;

impl KnownSeries {
    pub(crate) fn new(max_series: usize) -> Self {
        Self {
            max_series,
            layers: Layers::new(),
            families: HashMap::new(),
            series: HashMap::new(),
            next_family: 0,
            next_series: 0,
            sample: 0,
        }
    }

    /// Reads a snapshot and returns what changed. Yields regularly.
    pub(crate) async fn changes(
        &mut self,
        registry: &Registry,
        snapshot: &Snapshot,
        time: u64,
    ) -> Tick {
        self.sample += 1;
        let mut tick = Tick {
            time,
            layers: self.layers.new_of(registry),
            ..Tick::default()
        };
        let mut families: Vec<_> = snapshot.families().collect();
        // If there are too many series, the largest families are cut.
        families.sort_by_key(FamilySnapshot::len);
        let mut key = String::new();
        let (mut read, mut slice) = (0, 0);
        for family in families {
            for series in family.series() {
                if read < self.max_series {
                    slice += self.read(&family, &series, &mut key, &mut tick);
                } else {
                    // Not marked as seen: a known series is then gone.
                    tick.hidden += 1;
                    slice += 1;
                }
                read += 1;
                if slice >= SLICE {
                    slice = 0;
                    tokio::task::yield_now().await;
                }
            }
        }
        self.remove_unseen(&mut tick);
        tick
    }

    /// Reads a series. Returns the size of its value.
    fn read(
        &mut self,
        family: &FamilySnapshot<'_>,
        series: &SeriesSnapshot<'_>,
        key: &mut String,
        tick: &mut Tick,
    ) -> usize {
        write_key(key, family, series);
        let value = series.value();
        let reading = reading(&value);
        let size = reading.size();
        if let Some(known) = self.series.get_mut(key.as_str()) {
            known.sample = self.sample;
            if !known.reading.is_same(&reading) {
                let before = std::mem::replace(&mut known.reading, reading.clone());
                tick.values.push((known.id, reading.changed_from(&before)));
            }
        } else {
            let info = self.announce(family, series, &value, tick);
            let known = Known {
                id: info.id,
                reading: reading.clone(),
                sample: self.sample,
            };
            tick.values.push((info.id, reading));
            tick.series.push(Arc::new(info));
            self.series.insert(key.as_str().into(), known);
        }
        size
    }

    fn announce(
        &mut self,
        family: &FamilySnapshot<'_>,
        series: &SeriesSnapshot<'_>,
        value: &Value<'_>,
        tick: &mut Tick,
    ) -> SeriesInfo {
        let labels = series.labels();
        let created = series.created();
        let since_epoch = created.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        self.next_series += 1;
        SeriesInfo {
            id: self.next_series,
            family: self.family_id(family, value, tick),
            labels: labels
                .map(|(name, value)| (name.to_owned(), value.into_owned()))
                .collect(),
            created: since_epoch.map(|age| age.as_millis() as u64),
        }
    }

    fn family_id(
        &mut self,
        family: &FamilySnapshot<'_>,
        value: &Value<'_>,
        tick: &mut Tick,
    ) -> u32 {
        let bounds = bounds(value);
        let is_native = matches!(value, Value::Histogram(it) if it.native().is_some());
        let same_name = self.families.entry(family.name().to_owned()).or_default();
        let kind = family.kind().as_str();
        let is_same = |known: &&Arc<FamilyInfo>| known.kind == kind && known.bounds == bounds;
        if let Some(known) = same_name.iter().find(is_same) {
            return known.id;
        }
        if same_name.is_empty() {
            tick.layers.extend(self.layers.of_foreign(family));
        }
        self.next_family += 1;
        let info = Arc::new(FamilyInfo {
            id: self.next_family,
            name: family.name().to_owned(),
            kind,
            help: family.help().as_deref().unwrap_or_default().to_owned(),
            unit: family.unit().map(|unit| unit.as_str()),
            bounds,
            is_native,
        });
        same_name.push(Arc::clone(&info));
        tick.families.push(info);
        self.next_family
    }

    fn remove_unseen(&mut self, tick: &mut Tick) {
        self.series.retain(|_, known| {
            let is_seen = known.sample == self.sample;
            if !is_seen {
                tick.gone.push(known.id);
            }
            is_seen
        });
    }
}

/// Writes a text that is unique to a series of a type. Lengths precede names and values, because these may contain any
/// character.
fn write_key(key: &mut String, family: &FamilySnapshot<'_>, series: &SeriesSnapshot<'_>) {
    key.clear();
    key.push_str(family.name());
    key.push('\0');
    key.push_str(family.kind().as_str());
    for (name, value) in series.labels() {
        for part in [name, &value] {
            // Writing to a string cannot fail.
            let _ = write!(key, "\0{}\0{part}", part.len());
        }
    }
}

fn reading(value: &Value<'_>) -> Reading {
    match value {
        Value::Counter(number) | Value::Gauge(number) => Reading::Number(number.as_f64()),
        Value::Histogram(histogram) => {
            if let Some(now) = NativeReading::of(histogram).map(Arc::new) {
                return Reading::Native { now, before: None };
            }
            let mut below = 0;
            let counts = histogram.buckets().map(|bucket| {
                let count = bucket.cumulative_count - below;
                below = bucket.cumulative_count;
                count as f64
            });
            Reading::Numbers([histogram.sum()].into_iter().chain(counts).collect())
        }
        Value::Summary(summary) => {
            let quantiles = summary.quantiles.iter().map(|(_, value)| *value);
            let totals = [summary.count as f64, summary.sum];
            Reading::Numbers(totals.into_iter().chain(quantiles).collect())
        }
        _ => Reading::LabelsOnly,
    }
}

fn bounds(value: &Value<'_>) -> Vec<f64> {
    match value {
        Value::Histogram(histogram) if histogram.native().is_none() => {
            let bounds = histogram.buckets().map(|bucket| bucket.upper_bound);
            bounds.filter(|bound| bound.is_finite()).collect()
        }
        Value::Summary(summary) => summary.quantiles.iter().map(|(q, _)| *q).collect(),
        _ => Vec::new(),
    }
}
