//! [`Family`]: a metric family with its instrument, its metadata and its series.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use metrics::Key;

use crate::budget::Budget;
use crate::error::Error;
use crate::model::bounds::Buckets;
use crate::model::kind::Instrument;
use crate::model::label_text::{label_text, series_prefix, state_prefix};
use crate::model::names::are_valid_label_names;
use crate::model::native::NativeSpec;
use crate::model::spec::FamilyMetadata;
use crate::registry::cell_reading::CellReading;
use crate::registry::cells::{CellId, Gauges, SeriesCells, Store};
use crate::registry::exemplars::Exemplars;
use crate::registry::histogram_cells::{ClassicCells, HistogramCells};
use crate::registry::index::{FamilySeries, SeriesIndex};
use crate::registry::native::NativeCells;
use crate::registry::tracked::TrackedSeries;
use crate::registry::utf8_names::Utf8Names;
#[cfg(feature = "summary")]
use crate::registry::window::Windows;
use crate::sync::lock;

/// A metric family of a registry.
pub(crate) struct Family {
    pub(crate) name: String,
    pub(crate) instrument: Instrument,
    /// The bounds of a histogram, as it is defined; `None` for other instruments.
    buckets: Option<Buckets>,
    native: Option<NativeFamily>,
    /// The label names of every series, if the family was registered with them.
    label_names: OnceLock<Vec<String>>,
    metadata: Mutex<FamilyMetadata>,
    /// The states of a state set.
    states: OnceLock<&'static [&'static str]>,
    series: FamilySeries,
    /// `None` if only the exported names are used.
    utf8_names: Option<Box<Utf8Names>>,
    /// The series that can expire.
    pub(crate) tracked: TrackedSeries,
    /// By the first cell of the series; unset if the family keeps no exemplars.
    exemplars: OnceLock<Mutex<HashMap<CellId, Arc<Exemplars>>>>,
    /// The windows of a summary.
    #[cfg(feature = "summary")]
    windows: Option<Box<Windows>>,
    /// The prefixes that series with sanitized label names have claimed. Prevents that two series are exported with the
    /// same labels.
    /// Allocated by the first claim.
    claims: OnceLock<Box<Mutex<Claims>>>,
    /// Whether there was a warning about sanitized label names.
    has_label_warning: AtomicBool,
}

/// The prefixes that series with sanitized label names have claimed, and the keys of these series.
#[derive(Default)]
struct Claims {
    keys: HashMap<String, Key>,
    /// In the order in which they were claimed. The last is that of the series.
    prefixes: HashMap<Key, Vec<String>>,
}

impl Claims {
    /// Returns `false` if another key has claimed the prefix.
    fn add(&mut self, prefix: &str, key: &Key) -> bool {
        if let Some(known) = self.keys.get(prefix) {
            return known == key;
        }
        self.keys.insert(prefix.to_owned(), key.clone());
        let prefixes = self.prefixes.entry(key.clone()).or_default();
        prefixes.push(prefix.to_owned());
        true
    }

    /// Returns the prefixes that the key had claimed.
    fn remove(&mut self, key: &Key) -> Vec<String> {
        let prefixes = self.prefixes.remove(key).unwrap_or_default();
        for prefix in &prefixes {
            self.keys.remove(prefix);
        }
        prefixes
    }
}

/// The settings and the cells of a family of native histograms.
struct NativeFamily {
    spec: NativeSpec,
    /// By the first cell of the series.
    cells: Mutex<HashMap<CellId, Arc<NativeCells>>>,
}

impl Family {
    pub(crate) fn new(
        name: String,
        instrument: Instrument,
        buckets: Option<Buckets>,
        metadata: FamilyMetadata,
    ) -> Self {
        Self {
            name,
            instrument,
            buckets,
            native: None,
            label_names: OnceLock::new(),
            metadata: Mutex::new(metadata),
            states: OnceLock::new(),
            series: FamilySeries::default(),
            utf8_names: None,
            tracked: TrackedSeries::default(),
            exemplars: OnceLock::new(),
            #[cfg(feature = "summary")]
            windows: None,
            claims: OnceLock::new(),
            has_label_warning: AtomicBool::new(false),
        }
    }

    pub(crate) fn with_native(self, spec: Option<NativeSpec>) -> Self {
        let native = spec.map(|spec| NativeFamily {
            spec,
            cells: Mutex::default(),
        });
        Self { native, ..self }
    }

    pub(crate) fn with_utf8_names(self, utf8_names: Option<Utf8Names>) -> Self {
        let utf8_names = utf8_names.map(Box::new);
        Self { utf8_names, ..self }
    }

    pub(crate) fn utf8_names(&self) -> Option<&Utf8Names> {
        self.utf8_names.as_deref()
    }

    /// The classic buckets of a histogram; `None` if it has only native ones, and for other instruments.
    pub(crate) fn classic_buckets(&self) -> Option<&Buckets> {
        let only_native = self
            .native
            .as_ref()
            .is_some_and(|native| !native.spec.has_classic);
        self.buckets.as_ref().filter(|_| !only_native)
    }

    pub(crate) fn has_native(&self) -> bool {
        self.native.is_some()
    }

    /// The approximate cost of reading native buckets, in nanoseconds.
    pub(crate) fn native_work(&self) -> usize {
        // Measured with 8 buckets per octave.
        const WORK: usize = 900;
        self.native.as_ref().map_or(0, |native| {
            let (octave_buckets, _) = native.spec.schema.octave_buckets();
            WORK.max(WORK * octave_buckets.len() as usize / 8)
        })
    }

    /// The upper bounds of the exported classic buckets, without `+Inf`.
    pub(crate) fn exported_bounds(&self) -> &[f64] {
        self.classic_buckets().map_or(&[], Buckets::bounds)
    }

    /// Reserves the cells of a series of a histogram.
    pub(crate) fn reserve_histogram(&self, store: &Arc<Store>) -> HistogramCells {
        let classic = self.classic_buckets().map(|buckets| ClassicCells {
            first: store.reserve_counts(buckets.count()),
            bounds: buckets.clone(),
        });
        let native = self.native.as_ref().map(|native| {
            let cells = Arc::new(NativeCells::new(native.spec, Arc::clone(store)));
            let first = classic
                .as_ref()
                .map_or(cells.zero(), |classic| classic.first);
            lock(&native.cells).insert(first, Arc::clone(&cells));
            cells
        });
        HistogramCells { classic, native }
    }

    /// Returns the cells of a series of a histogram that are reserved already.
    pub(crate) fn histogram_cells(&self, first: CellId) -> HistogramCells {
        HistogramCells {
            classic: self.classic_buckets().map(|buckets| ClassicCells {
                first,
                bounds: buckets.clone(),
            }),
            native: self.native_cells(first),
        }
    }

    /// Returns the native cells of the series with this first cell.
    pub(crate) fn native_cells(&self, first: CellId) -> Option<Arc<NativeCells>> {
        lock(&self.native.as_ref()?.cells).get(&first).cloned()
    }

    pub(crate) fn metadata(&self) -> FamilyMetadata {
        lock(&self.metadata).clone()
    }

    pub(crate) fn describe(&self, metadata: FamilyMetadata) {
        *lock(&self.metadata) = metadata;
    }

    /// Returns an error if a definition conflicts with an earlier one. If the family has no HELP yet because a
    /// macro created it, adopts HELP and UNIT of the definition.
    pub(crate) fn redefine(
        &self,
        buckets: Option<&Buckets>,
        label_names: &[String],
        metadata: &FamilyMetadata,
    ) -> Result<(), Error> {
        let name = &self.name;
        if let (Some(known), Some(buckets)) = (&self.buckets, buckets)
            && known != buckets
        {
            return Err(Error::conflict(format!(
                "histogram {name:?} is already registered with other buckets: it has {:?}, and cannot have {:?}, too; use the same buckets \
                 or another name",
                known.bounds(),
                buckets.bounds(),
            )));
        }
        let known = self.label_names.get_or_init(|| label_names.to_vec());
        if known != label_names {
            return Err(Error::conflict(format!(
                "{name:?} is already registered with the labels {known:?}, now with {label_names:?}; use the same \
                 labels or another name"
            )));
        }
        let mut known = lock(&self.metadata);
        if known.help.is_none() {
            known.clone_from(metadata);
        }
        Ok(())
    }

    /// Enables exemplars for all series registered from now on.
    pub(crate) fn keep_exemplars(&self) {
        self.exemplars.get_or_init(Mutex::default);
    }

    /// Returns the exemplars of the series with this first cell, created on first use.
    pub(crate) fn exemplars_of(&self, cell: CellId) -> Option<Arc<Exemplars>> {
        let known = self.exemplars.get()?;
        let new = || {
            Arc::new(match self.classic_buckets() {
                Some(buckets) => Exemplars::new(buckets.count()),
                None => Exemplars::new(Exemplars::NATIVE),
            })
        };
        Some(Arc::clone(lock(known).entry(cell).or_insert_with(new)))
    }

    /// Returns the exemplars of the series with this first cell.
    pub(crate) fn exemplars(&self, cell: CellId) -> Option<Arc<Exemplars>> {
        lock(self.exemplars.get()?).get(&cell).cloned()
    }

    #[cfg(feature = "summary")]
    pub(crate) fn with_windows(self, windows: Windows) -> Self {
        let windows = Some(Box::new(windows));
        Self { windows, ..self }
    }

    /// Returns the quantiles of the summary with this first cell and their values; NaN without observations in
    /// the window.
    #[cfg(feature = "summary")]
    pub(crate) fn quantiles(&self, cell: CellId) -> Vec<(f64, f64)> {
        let windows = self.windows();
        windows.map_or_else(Vec::new, |windows| windows.values(cell))
    }

    /// The windows of a summary; `None` for other instruments.
    #[cfg(feature = "summary")]
    pub(crate) fn windows(&self) -> Option<&Windows> {
        self.windows.as_deref()
    }

    /// Returns `true` at the first call: each family warns of sanitized label names once.
    pub(crate) fn is_first_label_warning(&self) -> bool {
        !self.has_label_warning.swap(true, Ordering::Relaxed)
    }

    /// Whether label names are valid without sanitizing. `taken` are the constant labels.
    pub(crate) fn has_valid_names<'a>(
        &self,
        names: &(impl Iterator<Item = &'a str> + Clone),
        taken: &[(String, String)],
    ) -> bool {
        // Fast path: the label names of a definition were checked at registration.
        let defined = self.label_names.get();
        if defined.is_some_and(|defined| names.clone().eq(defined)) && taken.is_empty() {
            return true;
        }
        are_valid_label_names(names, taken)
    }

    /// Sets the states of a state set, which are those of its definition.
    pub(crate) fn has_states(&self, states: &'static [&'static str]) {
        self.states.get_or_init(|| states);
    }

    /// Adds a series with its [prefix](Self::prefix). Scrapes that start after this call include it.
    ///
    /// A state set is added as one series for each state. They share the cell of the current state.
    pub(crate) fn add(&self, prefix: String, cells: SeriesCells) {
        let Some(states) = self.states.get() else {
            return self.series.add([(prefix, cells)]);
        };
        let states = states.iter().zip(0..).map(|(state, i)| {
            let cells = SeriesCells { sum: i, ..cells };
            (state_prefix(&self.name, &prefix, state), cells)
        });
        self.series.add(states);
    }

    /// Returns the constant part of the lines of a series: only its labels if the series has several lines,
    /// such as a histogram or a state set; otherwise everything before the value.
    pub(crate) fn prefix<'a>(&self, labels: impl Iterator<Item = (&'a str, &'a str)>) -> String {
        match self.instrument {
            Instrument::StateSet => label_text(labels),
            instrument if instrument.kind().has_suffixes() => label_text(labels),
            _ => series_prefix(&self.name, labels),
        }
    }

    /// Returns the labels of the prefix of a series in the index, in the text format.
    pub(crate) fn labels_of<'a>(&self, prefix: &'a str) -> &'a str {
        match self.instrument.kind().has_suffixes() {
            true => prefix,
            false => prefix[self.name.len()..].trim_matches(['{', '}', ' ']),
        }
    }

    /// Claims a prefix for a series with sanitized label names. Returns `false` if another series has
    /// claimed it.
    pub(crate) fn claim(&self, prefix: &str, key: &Key) -> bool {
        lock(self.claims.get_or_init(Box::default)).add(prefix, key)
    }

    pub(crate) fn is_claimed(&self, prefix: &str) -> bool {
        let claims = self.claims.get();
        claims.is_some_and(|claims| lock(claims).keys.contains_key(prefix))
    }

    /// The prefix that was claimed for a key.
    pub(crate) fn claimed_by(&self, key: &Key) -> Option<String> {
        lock(self.claims.get()?).prefixes.get(key)?.last().cloned()
    }

    /// Gives up the claim of a key whose series has expired.
    pub(crate) fn unclaim(&self, key: &Key) {
        let Some(claims) = self.claims.get() else {
            return;
        };
        // Locked until the names are removed: then, another series may claim the prefix and add its own.
        let mut claims = lock(claims);
        for prefix in claims.remove(key) {
            if let Some(utf8_names) = self.utf8_names() {
                utf8_names.remove_labels(self.labels_of(&prefix));
            }
        }
    }

    /// Removes a series from the page. Scrapes that start after this call do not include it. `is_shown`: a page has
    /// shown it.
    pub(crate) fn unlist(&self, prefix: &str, is_shown: bool) {
        match self.states.get() {
            None => self.series.remove([prefix.to_owned()], is_shown),
            Some(states) => {
                let states = states.iter();
                let prefixes = states.map(|state| state_prefix(&self.name, prefix, state));
                self.series.remove(prefixes, is_shown);
            }
        }
    }

    /// Takes the cells of a series that has expired.
    pub(crate) fn reuse(&self) -> Option<SeriesCells> {
        self.tracked.get()?.reuse()
    }

    /// Keeps the cells of a series that has expired for the next one. Its counts and its sum must be 0.
    pub(crate) fn recycle(&self, store: &Store, cells: SeriesCells) {
        self.clear_gauge(store, cells);
        self.clear_recent(cells);
        if let Some(native) = self.native_cells(cells.cell) {
            native.reset();
        }
        if self.instrument != Instrument::Info {
            self.tracked.lock().recycle(cells);
        }
    }

    /// Sets a gauge that has left the page to 0, and a state set to its first state, see [`Gauges::restart`].
    pub(crate) fn restart_gauge(&self, store: &Store, cells: SeriesCells) {
        if let Some(gauges) = self.gauges(store) {
            gauges.restart(cells.cell);
        }
    }

    /// Sets a gauge to 0, and a state set to its first state. No thread may record it meanwhile.
    pub(crate) fn clear_gauge(&self, store: &Store, cells: SeriesCells) {
        if let Some(gauges) = self.gauges(store) {
            gauges.clear(cells.cell);
        }
    }

    /// Removes exemplars, and the observations in the window of a summary.
    pub(crate) fn clear_recent(&self, cells: SeriesCells) {
        if let Some(exemplars) = self.exemplars(cells.cell) {
            exemplars.clear();
        }
        #[cfg(feature = "summary")]
        if let Some(window) = self.windows().and_then(|windows| windows.get(cells.cell)) {
            window.clear();
        }
    }

    /// Reads the cells of a series.
    pub(crate) fn reading(&self, store: &Store, cells: SeriesCells) -> CellReading {
        // The sum is read before it is known which cells a native histogram has.
        let counts = std::iter::once_with(|| {
            let mut counts = Vec::new();
            self.each_count(cells, |cell| counts.push(cell));
            counts
        });
        CellReading::of(store, counts.flatten(), self.sum_cell(cells))
    }

    /// Calls `f` with each cell of a series that counts.
    pub(crate) fn each_count(&self, cells: SeriesCells, mut f: impl FnMut(CellId)) {
        let SeriesCells { cell, .. } = cells;
        let counts = match self.instrument {
            Instrument::Counter => 1,
            Instrument::InProgress => 2,
            #[cfg(feature = "summary")]
            Instrument::Summary => 1,
            Instrument::Histogram => {
                if let Some(native) = self.native_cells(cell) {
                    native.each_cell(&mut f);
                }
                self.classic_buckets().map_or(0, Buckets::count) as CellId
            }
            Instrument::FloatCounter
            | Instrument::Gauge
            | Instrument::StateSet
            | Instrument::Info => 0,
        };
        (cell..cell + counts).for_each(f);
    }

    /// The approximate cost of reading the counts of a series from the sums over all shards, in nanoseconds.
    pub(crate) fn check_work(&self) -> usize {
        match self.has_native() {
            true => 1_000,
            false => 2 * self.exported_bounds().len(),
        }
    }

    pub(crate) fn sum_cell(&self, cells: SeriesCells) -> Option<CellId> {
        match self.instrument {
            Instrument::FloatCounter | Instrument::Histogram => Some(cells.sum),
            #[cfg(feature = "summary")]
            Instrument::Summary => Some(cells.sum),
            _ => None,
        }
    }

    /// Whether a series has a value that is not a sum: a gauge or a state set.
    pub(crate) fn has_no_sum(&self) -> bool {
        matches!(self.instrument, Instrument::Gauge | Instrument::StateSet)
    }

    /// The gauges of the family, if it is one of gauges or state sets.
    fn gauges<'a>(&self, store: &'a Store) -> Option<&'a Gauges> {
        match self.instrument {
            Instrument::Gauge => Some(&store.gauges),
            Instrument::StateSet => Some(&store.states),
            _ => None,
        }
    }

    /// Whether a gauge or a state set was recorded since [`take_recorded`](Self::take_recorded).
    pub(crate) fn is_recorded(&self, store: &Store, cells: SeriesCells) -> bool {
        let gauges = self.gauges(store);
        gauges.is_some_and(|gauges| gauges.is_recorded(cells.cell))
    }

    /// Whether a gauge or a state set was recorded since the last call.
    pub(crate) fn take_recorded(&self, store: &Store, cells: SeriesCells) -> bool {
        let gauges = self.gauges(store);
        gauges.is_some_and(|gauges| gauges.take_recorded(cells.cell))
    }

    /// Whether a gauge counts something, see [`Gauges::is_counting`].
    pub(crate) fn is_counting(&self, store: &Store, cells: SeriesCells) -> bool {
        self.instrument == Instrument::Gauge && store.gauges.is_counting(cells.cell)
    }

    /// See [`FamilySeries::index`].
    pub(crate) fn index(&self, merged: &mut bool, budget: &mut Budget) -> Option<Arc<SeriesIndex>> {
        self.series.index(merged, budget)
    }
}
