//! From a key to the handle of its series: registration, once for each.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use metrics::{Key, Label};

use super::Registry;
use super::families::Shape;
use super::family::{Family, Place};
use super::handles::{Counter, FractionalCounter, Gauge, Histogram, InProgress};
use super::names::{escape_label_value, escaped_label_name, mend_label_names};
use crate::sync::lock;

/// Locks to spread registration over: one map that grows would stall everyone.
const SHARDS: usize = 64;

type Handles<H> = HashMap<Key, Arc<H>, BuildHasherDefault<KeyHash>>;

/// All series of one shape.
pub(super) struct SeriesMap<H> {
    shards: [RwLock<Handles<H>>; SHARDS],
}

impl<H> Default for SeriesMap<H> {
    fn default() -> Self {
        Self {
            shards: std::array::from_fn(|_| RwLock::default()),
        }
    }
}

impl<H> SeriesMap<H> {
    fn shard(&self, key: &Key) -> &RwLock<Handles<H>> {
        // The middle bits: the map itself uses the low and the high ones.
        &self.shards[(key.get_hash() >> 32) as usize % SHARDS]
    }

    fn read(&self, key: &Key) -> RwLockReadGuard<'_, Handles<H>> {
        let shard = self.shard(key).read();
        shard.unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, key: &Key) -> RwLockWriteGuard<'_, Handles<H>> {
        let shard = self.shard(key).write();
        shard.unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, key: &Key) -> Option<Arc<H>> {
        self.read(key).get(key).cloned()
    }
}

impl Registry {
    pub(crate) fn counter(&self, key: Cow<'_, Key>) -> Arc<Counter> {
        self.register(&self.inner.counters, Shape::Counter, key, |_| {
            let store = Arc::clone(&self.inner.store);
            let cell = store.reserve_counts(1);
            (Counter::new(store, cell), Place { cell, sum: 0 })
        })
    }

    pub(crate) fn fractional_counter(&self, key: Cow<'_, Key>) -> Arc<FractionalCounter> {
        let (map, shape) = (&self.inner.fractional_counters, Shape::FractionalCounter);
        self.register(map, shape, key, |_| {
            let store = Arc::clone(&self.inner.store);
            let sum = store.reserve_sum();
            let counter = FractionalCounter::new(store, sum);
            (counter, Place { cell: 0, sum })
        })
    }

    #[cfg(feature = "summary")]
    pub(crate) fn summary(&self, key: Cow<'_, Key>) -> Arc<super::Summary> {
        self.register(&self.inner.summaries, Shape::Summary, key, |family| {
            let store = Arc::clone(&self.inner.store);
            let place = Place {
                cell: store.reserve_counts(1),
                sum: store.reserve_sum(),
            };
            let window = family.new_window(place.cell);
            (super::Summary::new(store, place, window), place)
        })
    }

    /// Puts an info with these labels on the page.
    pub(crate) fn info(&self, key: Cow<'_, Key>) {
        let nowhere = Place { cell: 0, sum: 0 };
        self.register(&self.inner.infos, Shape::Info, key, |_| ((), nowhere));
    }

    pub(crate) fn gauge(&self, key: Cow<'_, Key>) -> Arc<Gauge> {
        self.register(&self.inner.gauges, Shape::Gauge, key, |_| {
            let store = Arc::clone(&self.inner.store);
            let cell = store.gauges.reserve();
            (Gauge { store, cell }, Place { cell, sum: 0 })
        })
    }

    pub(crate) fn in_progress(&self, key: Cow<'_, Key>) -> Arc<InProgress> {
        self.register(&self.inner.in_progress, Shape::InProgress, key, |_| {
            let store = Arc::clone(&self.inner.store);
            let began = store.reserve_counts(2);
            let place = Place {
                cell: began,
                sum: 0,
            };
            (InProgress::new(store, began), place)
        })
    }

    pub(crate) fn histogram(&self, key: Cow<'_, Key>) -> Arc<Histogram> {
        self.register(&self.inner.histograms, Shape::Histogram, key, |family| {
            let bounds = self.buckets_in(family);
            let store = Arc::clone(&self.inner.store);
            let place = Place {
                cell: store.reserve_counts(bounds.count()),
                sum: store.reserve_sum(),
            };
            let exemplars = family.new_exemplars(place.cell, bounds.count());
            (Histogram::new(store, place, bounds, exemplars), place)
        })
    }

    /// The handle of a key, from `make` if it is new.
    fn register<H>(
        &self,
        map: &SeriesMap<H>,
        shape: Shape,
        key: Cow<'_, Key>,
        make: impl FnOnce(&Family) -> (H, Place),
    ) -> Arc<H> {
        if let Some(handle) = map.get(&key) {
            return handle;
        }
        let rules = &self.inner.bucket_rules;
        let family = self.inner.families.of(shape, key.name(), rules);
        let names = key.labels().map(Label::key);
        if family.has_sound_names(&names, self.constant_labels()) {
            let head = family.head(self.labels(&key, names));
            let mut handles = map.write(&key);
            // Claims are looked at under the lock of the shard, and made before looking there:
            // whichever of two colliding series comes second sees the first.
            if !family.is_claimed(&head) {
                let entry = match handles.entry(retained(key)) {
                    Entry::Occupied(known) => return Arc::clone(known.get()),
                    Entry::Vacant(entry) => entry,
                };
                let (handle, place) = make(&family);
                family.add(head, place);
                return Arc::clone(entry.insert(Arc::new(handle)));
            }
        }
        self.register_mended(map, &family, &key, make)
    }

    /// Registers a series whose label names could not stay as they are.
    #[cold]
    fn register_mended<H>(
        &self,
        map: &SeriesMap<H>,
        family: &Family,
        key: &Key,
        make: impl FnOnce(&Family) -> (H, Place),
    ) -> Arc<H> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let one = lock(&ONE_AT_A_TIME);
        if let Some(handle) = map.get(key) {
            return handle;
        }
        let names = key.labels().map(Label::key);
        let mut names = mend_label_names(names, self.constant_labels());
        let head =
            |names: &[String]| family.head(self.labels(key, names.iter().map(String::as_str)));
        let mut claimed = head(&names);
        while !family.claim(&claimed, key) || self.is_registered(map, key, &names) {
            names = names.iter().map(|name| escaped_label_name(name)).collect();
            claimed = head(&names);
        }
        let labels = family.labels_of(&claimed).to_owned();
        let (handle, place) = make(family);
        family.add(claimed, place);
        let handle = Arc::new(handle);
        map.write(key)
            .insert(key.to_retained(), Arc::clone(&handle));
        drop(one);
        // Without the lock: who listens to warnings may record something in turn.
        tracing::warn!("the labels of {key} are shown as {{{labels}}}: names had to be mended");
        handle
    }

    /// Whether another series is registered that has these names to begin with.
    fn is_registered<H>(&self, map: &SeriesMap<H>, key: &Key, names: &[String]) -> bool {
        let values = key.labels().map(|label| label.value().to_owned());
        let labels = names.iter().cloned().zip(values);
        let labels: Vec<_> = labels
            .map(|(name, value)| Label::new(name, value))
            .collect();
        let unmended = Key::from_parts(key.name().to_owned(), labels);
        unmended != *key && map.read(&unmended).contains_key(&unmended)
    }

    /// The labels of a series as they are on the page.
    fn labels<'a>(
        &'a self,
        key: &'a Key,
        names: impl Iterator<Item = &'a str>,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        let own = names.zip(key.labels());
        let own = own.map(|(name, label)| (name, label.value()));
        let constant = self.constant_labels().iter();
        let constant = constant.map(|(name, value)| (name.as_str(), value.as_str()));
        own.chain(constant)
    }
}

/// A key that may be kept.
fn retained(key: Cow<'_, Key>) -> Key {
    match key {
        Cow::Owned(key) => key,
        Cow::Borrowed(key) => key.to_retained(),
    }
}

/// Labels as text, by name, so that the order at a call site does not matter.
pub(crate) fn label_text<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    sorted(labels, |labels| {
        let mut text = String::with_capacity(text_len(labels));
        write_labels(&mut text, labels);
        text
    })
}

/// All of a line before its value: the name of the sample and its labels.
pub(super) fn line_start<'a>(
    name: &str,
    labels: impl Iterator<Item = (&'a str, &'a str)>,
) -> String {
    sorted(labels, |labels| {
        let len = name.len() + "{} ".len() + text_len(labels);
        let mut line = String::with_capacity(len);
        line.push_str(name);
        if !labels.is_empty() {
            line.push('{');
            write_labels(&mut line, labels);
            line.push('}');
        }
        line.push(' ');
        line
    })
}

/// Calls `f` with the labels by name. Few enough, as nearly always, are sorted without an allocation.
fn sorted<'a, T>(
    labels: impl Iterator<Item = (&'a str, &'a str)>,
    f: impl FnOnce(&[(&'a str, &'a str)]) -> T,
) -> T {
    let mut labels = labels.fuse();
    let mut few = [("", ""); 12];
    let mut len = 0;
    for (place, label) in few.iter_mut().zip(&mut labels) {
        *place = label;
        len += 1;
    }
    let mut many;
    let labels = match labels.next() {
        None => &mut few[..len],
        Some(next) => {
            many = few.to_vec();
            many.push(next);
            many.extend(labels);
            &mut many[..]
        }
    };
    labels.sort_unstable();
    f(labels)
}

/// How long labels are as text, if nothing in them is escaped.
fn text_len(labels: &[(&str, &str)]) -> usize {
    const AROUND: usize = "=\"\",".len();
    let lengths = labels.iter();
    let lengths = lengths.map(|(name, value)| name.len() + AROUND + value.len());
    // The last has no comma.
    lengths.sum::<usize>().saturating_sub(1)
}

fn write_labels(text: &mut String, labels: &[(&str, &str)]) {
    for (i, (name, value)) in labels.iter().enumerate() {
        if i > 0 {
            text.push(',');
        }
        text.push_str(name);
        text.push_str("=\"");
        escape_label_value(text, value);
        text.push('"');
    }
}

/// A `metrics::Key` carries its hash; this passes it on.
#[derive(Default)]
struct KeyHash(u64);

impl Hasher for KeyHash {
    fn write(&mut self, bytes: &[u8]) {
        // Not used by `Key`, whose hash is one number.
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
