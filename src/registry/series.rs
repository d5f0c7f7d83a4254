//! Registration of series, and the maps from keys to the handles of their series.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use metrics::{Key, Label};

use crate::model::kind::Instrument;
use crate::model::names::{
    escaped_label_name, is_label_name, is_reserved_label, sanitize_label_names,
};
use crate::registry::Registry;
use crate::registry::cell_reading::is_unheld;
use crate::registry::cells::SeriesCells;
use crate::registry::family::Family;
#[cfg(feature = "summary")]
use crate::registry::handles::RegistrySummary;
use crate::registry::handles::{
    RegistryCounter, RegistryFloatCounter, RegistryGauge, RegistryHistogram, RegistryInProgress,
    RegistryStateSet,
};
use crate::registry::lifetime::{Lifetime, RowsOfSeries};
use crate::registry::tracked::SlotIndex;
use crate::sync::lock;

/// The number of maps, each with its own lock. A single map would block all registrations while it grows.
const SHARDS: usize = 64;

pub(crate) type Handles<H> = HashMap<Key, Known<H>, BuildHasherDefault<KeyHash>>;

/// A registered series.
pub(crate) struct Known<H> {
    pub(crate) handle: Arc<H>,
    pub(crate) cells: SeriesCells,
    /// Whether it never expires, see [`Lifetime::Permanent`].
    is_permanent: AtomicBool,
    /// See [`Lifetime::OfRow`].
    pub(crate) rows: RowsOfSeries,
    /// Its slot among the series that can expire.
    pub(crate) slot: Option<SlotIndex>,
}

impl<H> Known<H> {
    /// Returns the handle. If `lifetime` is permanent, the series never expires from now on.
    fn share(&self, lifetime: &Lifetime) -> Arc<H> {
        if lifetime.is_permanent() {
            self.is_permanent.store(true, Ordering::Relaxed);
        }
        Arc::clone(&self.handle)
    }

    /// Whether the series never expires.
    pub(crate) fn is_permanent(&self) -> bool {
        self.is_permanent.load(Ordering::Relaxed)
    }

    /// Whether no handle exists, see [`is_unheld`].
    pub(crate) fn is_unheld(&mut self) -> bool {
        !*self.is_permanent.get_mut() && is_unheld(&mut self.handle)
    }
}

/// The handles of all series of one instrument.
pub(crate) struct SeriesMap<H> {
    /// Allocated by the first series: a registry has a map per instrument, and programs use few of them.
    shards: OnceLock<Box<[RwLock<Handles<H>>; SHARDS]>>,
}

impl<H> Default for SeriesMap<H> {
    fn default() -> Self {
        Self {
            shards: OnceLock::new(),
        }
    }
}

impl<H> SeriesMap<H> {
    fn shard(&self, key: &Key) -> &RwLock<Handles<H>> {
        let new = || Box::new(std::array::from_fn(|_| RwLock::default()));
        // The middle bits of the hash, because the hash map uses the low and the high bits.
        &self.shards.get_or_init(new)[(key.get_hash() >> 32) as usize % SHARDS]
    }

    fn read(&self, key: &Key) -> RwLockReadGuard<'_, Handles<H>> {
        let shard = self.shard(key).read();
        shard.unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self, key: &Key) -> RwLockWriteGuard<'_, Handles<H>> {
        let shard = self.shard(key).write();
        shard.unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, key: &Key, lifetime: &Lifetime) -> Option<Arc<H>> {
        self.shards.get()?;
        let handles = self.read(key);
        // The lock orders this with `settle`, which has it for writing when a series expires.
        handles.get(key).map(|known| known.share(lifetime))
    }

    /// The keys of the series that match and are not permanent.
    pub(crate) fn removable(&self, matches: &impl Fn(&Key) -> bool) -> Vec<Key> {
        let mut keys = Vec::new();
        for shard in self
            .shards
            .get()
            .into_iter()
            .flat_map(|shards| shards.iter())
        {
            let handles = shard.read().unwrap_or_else(PoisonError::into_inner);
            let matching = handles
                .iter()
                .filter(|(key, known)| !known.is_permanent() && matches(key));
            keys.extend(matching.map(|(key, _)| key.clone()));
        }
        keys
    }
}

impl Registry {
    pub(crate) fn register_counter_series(
        &self,
        key: Cow<'_, Key>,
        lifetime: &Lifetime,
    ) -> Arc<RegistryCounter> {
        let (map, instrument) = (&self.inner.counters, Instrument::Counter);
        self.register(map, instrument, key, lifetime, |family| {
            let store = Arc::clone(&self.inner.store);
            let cells = family.reuse().unwrap_or_else(|| SeriesCells {
                cell: store.reserve_counts(1),
                sum: 0,
            });
            (RegistryCounter::new(store, cells.cell), cells)
        })
    }

    pub(crate) fn register_float_counter_series(
        &self,
        key: Cow<'_, Key>,
        lifetime: &Lifetime,
    ) -> Arc<RegistryFloatCounter> {
        let (map, instrument) = (&self.inner.float_counters, Instrument::FloatCounter);
        self.register(map, instrument, key, lifetime, |family| {
            let store = Arc::clone(&self.inner.store);
            let cells = family.reuse().unwrap_or_else(|| SeriesCells {
                cell: 0,
                sum: store.reserve_sum(),
            });
            (RegistryFloatCounter::new(store, cells.sum), cells)
        })
    }

    #[cfg(feature = "summary")]
    pub(crate) fn register_summary_series(
        &self,
        key: Cow<'_, Key>,
        lifetime: &Lifetime,
    ) -> Arc<RegistrySummary> {
        let (map, instrument) = (&self.inner.summaries, Instrument::Summary);
        self.register(map, instrument, key, lifetime, |family| {
            let store = Arc::clone(&self.inner.store);
            let cells = family.reuse().unwrap_or_else(|| SeriesCells {
                cell: store.reserve_counts(1),
                sum: store.reserve_sum(),
            });
            let window = family.windows().map(|windows| windows.of(cells.cell));
            (RegistrySummary::new(store, cells, window), cells)
        })
    }

    /// Registers an info. It needs no handle, because its value is always 1.
    pub(crate) fn register_info_series(&self, key: Cow<'_, Key>) {
        let unused = SeriesCells { cell: 0, sum: 0 };
        let (map, instrument) = (&self.inner.infos, Instrument::Info);
        self.register(map, instrument, key, &Lifetime::Permanent, |_| ((), unused));
    }

    pub(crate) fn register_gauge_series(
        &self,
        key: Cow<'_, Key>,
        lifetime: &Lifetime,
    ) -> Arc<RegistryGauge> {
        let (map, instrument) = (&self.inner.gauges, Instrument::Gauge);
        self.register(map, instrument, key, lifetime, |family| {
            let store = Arc::clone(&self.inner.store);
            let cells = family.reuse().unwrap_or_else(|| SeriesCells {
                cell: store.gauges.reserve(),
                sum: 0,
            });
            let cell = cells.cell;
            (RegistryGauge::new(store, cell), cells)
        })
    }

    /// Registers a state set, which is in the first state. `key` has no label for the state.
    pub(crate) fn register_state_set_series(
        &self,
        key: Cow<'_, Key>,
        states: &'static [&'static str],
        lifetime: &Lifetime,
    ) -> Arc<RegistryStateSet> {
        let (map, instrument) = (&self.inner.state_sets, Instrument::StateSet);
        self.register(map, instrument, key, lifetime, |family| {
            family.has_states(states);
            let store = Arc::clone(&self.inner.store);
            let cells = family.reuse().unwrap_or_else(|| SeriesCells {
                cell: store.states.reserve(),
                sum: 0,
            });
            let cell = cells.cell;
            (RegistryStateSet::new(store, cell), cells)
        })
    }

    pub(crate) fn register_in_progress_series(
        &self,
        key: Cow<'_, Key>,
        lifetime: &Lifetime,
    ) -> Arc<RegistryInProgress> {
        let (map, instrument) = (&self.inner.in_progress, Instrument::InProgress);
        self.register(map, instrument, key, lifetime, |family| {
            let store = Arc::clone(&self.inner.store);
            let cells = family.reuse().unwrap_or_else(|| SeriesCells {
                cell: store.reserve_counts(2),
                sum: 0,
            });
            (RegistryInProgress::new(store, cells.cell), cells)
        })
    }

    pub(crate) fn register_histogram_series(
        &self,
        key: Cow<'_, Key>,
        lifetime: &Lifetime,
    ) -> Arc<RegistryHistogram> {
        let (map, instrument) = (&self.inner.histograms, Instrument::Histogram);
        self.register(map, instrument, key, lifetime, |family| {
            let store = Arc::clone(&self.inner.store);
            let reused = family.reuse();
            let buckets = match reused {
                Some(cells) => family.histogram_cells(cells.cell),
                None => family.reserve_histogram(&store),
            };
            let cells = reused.unwrap_or_else(|| SeriesCells {
                cell: buckets.first(),
                sum: store.reserve_sum(),
            });
            let exemplars = family.exemplars_of(cells.cell);
            let histogram = RegistryHistogram::new(store, &buckets, cells.sum, exemplars);
            (histogram, cells)
        })
    }

    /// Returns the handle of a key, see [`find_or_list`](Self::find_or_list), and adds the series to its row.
    fn register<H>(
        &self,
        map: &SeriesMap<H>,
        instrument: Instrument,
        key: Cow<'_, Key>,
        lifetime: &Lifetime,
        make: impl FnOnce(&Family) -> (H, SeriesCells),
    ) -> Arc<H> {
        let Lifetime::OfRow(row) = lifetime else {
            return self.find_or_list(map, instrument, key, lifetime, make);
        };
        let owned = key.to_retained();
        let handle = self.find_or_list(map, instrument, Cow::Borrowed(&owned), lifetime, make);
        self.join_row(map, instrument, &owned, row);
        handle
    }

    /// Returns the handle of a key. If the key is new, `make` reserves the cells of the series and creates the
    /// handle.
    fn find_or_list<H>(
        &self,
        map: &SeriesMap<H>,
        instrument: Instrument,
        key: Cow<'_, Key>,
        lifetime: &Lifetime,
        make: impl FnOnce(&Family) -> (H, SeriesCells),
    ) -> Arc<H> {
        if let Some(handle) = map.get(&key, lifetime) {
            return handle;
        }
        let rules = &self.inner.histogram_rules;
        let family = self.inner.families.of(instrument, key.name(), rules);
        let names = key.labels().map(Label::key);
        if family.has_valid_names(&names, self.constant_labels()) {
            let prefix = family.prefix(self.labels(&key, names));
            let mut handles = map.write(&key);
            // This path checks the claims under the lock of the shard. `register_sanitized` claims first and
            // then checks the shard. So if two series would get the same prefix, one of the two sees the
            // other.
            if !family.is_claimed(&prefix) {
                let entry = match handles.entry(retained(key, lifetime)) {
                    Entry::Occupied(known) => return known.get().share(lifetime),
                    Entry::Vacant(entry) => entry,
                };
                let known = self.list(&family, entry.key(), prefix, lifetime, make);
                return Arc::clone(&entry.insert(known).handle);
            }
        }
        self.register_sanitized(map, &family, &key, lifetime, make)
    }

    /// Creates a series and lists it on the page. Its shard of the map must be locked.
    fn list<H>(
        &self,
        family: &Family,
        key: &Key,
        prefix: String,
        lifetime: &Lifetime,
        make: impl FnOnce(&Family) -> (H, SeriesCells),
    ) -> Known<H> {
        let (handle, cells) = make(family);
        family.add(prefix, cells);
        Known {
            handle: Arc::new(handle),
            cells,
            is_permanent: AtomicBool::new(lifetime.is_permanent()),
            rows: RowsOfSeries::None,
            slot: self.track(family, key, cells, lifetime),
        }
    }

    /// Returns the constant part of the lines of a registered series, see [`Family::prefix`].
    pub(crate) fn prefix_of(&self, family: &Family, key: &Key) -> String {
        let names = key.labels().map(Label::key);
        let claimed = family.claimed_by(key);
        claimed.unwrap_or_else(|| family.prefix(self.labels(key, names)))
    }

    /// Slow path: registers a series whose label names are invalid, or whose prefix is claimed.
    #[cold]
    fn register_sanitized<H>(
        &self,
        map: &SeriesMap<H>,
        family: &Family,
        key: &Key,
        lifetime: &Lifetime,
        make: impl FnOnce(&Family) -> (H, SeriesCells),
    ) -> Arc<H> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let registering = lock(&ONE_AT_A_TIME);
        if let Some(handle) = map.get(key, lifetime) {
            return handle;
        }
        let names = key.labels().map(Label::key);
        let mut names = sanitize_label_names(names, self.constant_labels());
        let prefix =
            |names: &[String]| family.prefix(self.labels(key, names.iter().map(String::as_str)));
        let mut claimed = prefix(&names);
        while !family.claim(&claimed, key) || self.is_registered(map, key, &names) {
            names = names.iter().map(|name| escaped_label_name(name)).collect();
            claimed = prefix(&names);
        }
        let key = key.to_retained();
        let mut handles = map.write(&key);
        let keeps_names = family.utf8_names().is_some_and(|utf8_names| {
            utf8_names.add_labels(family.labels_of(&claimed), &key, &names)
        });
        let known = self.list(family, &key, claimed, lifetime, make);
        let handle = Arc::clone(&known.handle);
        handles.insert(key.clone(), known);
        drop((handles, registering));
        // Outside the lock: a tracing subscriber may record metrics.
        if !keeps_names && family.is_first_label_warning() {
            warn_of_label_names(family, &key, &names);
        }
        handle
    }

    /// Whether another series is registered with the label names `names` and the label values of `key`.
    fn is_registered<H>(&self, map: &SeriesMap<H>, key: &Key, names: &[String]) -> bool {
        let values = key.labels().map(|label| label.value().to_owned());
        let labels = names.iter().cloned().zip(values);
        let labels: Vec<_> = labels
            .map(|(name, value)| Label::new(name, value))
            .collect();
        let unsanitized = Key::from_parts(key.name().to_owned(), labels);
        unsanitized != *key && map.read(&unsanitized).contains_key(&unsanitized)
    }

    /// Returns the labels of a series as exported: the values of `key` with `names`, then the constant labels.
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

/// Warns that the labels of `key` are exported under other names.
fn warn_of_label_names(family: &Family, key: &Key, names: &[String]) {
    let changed = key.labels().zip(names);
    let changed = changed.filter(|(label, name)| label.key() != *name);
    let changed: Vec<_> = changed
        .map(|(label, name)| {
            let (own, reason) = (label.key(), why_renamed(label.key()));
            format!("label {own:?} is exported as {name:?}, because {reason}")
        })
        .collect();
    let changed = changed.join("; ");
    tracing::warn!(
        "{}: {changed}; rename the label in the program. This is the only warning about labels of this metric.",
        family.name
    );
}

/// Returns why a label has to be exported under another name.
fn why_renamed(name: &str) -> &'static str {
    if !is_label_name(name) {
        "a label name has only letters, digits and '_', and no digit at the start"
    } else if is_reserved_label(name) {
        "\"le\", \"quantile\" and names that start with \"__\" are reserved"
    } else {
        "the series, the registry's constant labels or a renamed label of another series have this name already"
    }
}

/// Returns a key that is cheap to clone if the series can expire.
fn retained(key: Cow<'_, Key>, lifetime: &Lifetime) -> Key {
    match key {
        Cow::Owned(key) if lifetime.is_permanent() => key,
        key => key.to_retained(),
    }
}

/// A hasher that returns the hash that a `metrics::Key` stores.
#[derive(Default)]
pub(crate) struct KeyHash(u64);

impl Hasher for KeyHash {
    fn write(&mut self, bytes: &[u8]) {
        // Not used by `Key`, which hashes as one `u64`.
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
