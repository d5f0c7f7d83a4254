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
use crate::registry::cells::{CellId, SeriesCells, Store};
use crate::registry::exemplars::Exemplars;
use crate::registry::histogram_cells::{ClassicCells, HistogramCells};
use crate::registry::index::{FamilySeries, SeriesIndex};
use crate::registry::native::NativeCells;
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
    /// By the first cell of the series; unset if the family keeps no exemplars.
    exemplars: OnceLock<Mutex<HashMap<CellId, Arc<Exemplars>>>>,
    /// The windows of a summary.
    #[cfg(feature = "summary")]
    windows: Option<Box<Windows>>,
    /// The prefixes that series with sanitized label names have claimed, and the keys of these series. Prevents
    /// that two series are exported with the same labels.
    claims: Mutex<HashMap<String, Key>>,
    /// Fast path: while it is `false`, `claims` need not be locked.
    has_claims: AtomicBool,
    /// Whether there was a warning about sanitized label names.
    has_label_warning: AtomicBool,
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
            exemplars: OnceLock::new(),
            #[cfg(feature = "summary")]
            windows: None,
            claims: Mutex::default(),
            has_claims: AtomicBool::new(false),
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

    pub(crate) fn new_exemplars(&self, cell: CellId) -> Option<Arc<Exemplars>> {
        let known = self.exemplars.get()?;
        let exemplars = Arc::new(match self.classic_buckets() {
            Some(buckets) => Exemplars::new(buckets.count()),
            None => Exemplars::new(Exemplars::NATIVE),
        });
        lock(known).insert(cell, Arc::clone(&exemplars));
        Some(exemplars)
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
        let mut claims = lock(&self.claims);
        self.has_claims.store(true, Ordering::SeqCst);
        claims
            .entry(prefix.to_owned())
            .or_insert_with(|| key.clone())
            == key
    }

    pub(crate) fn is_claimed(&self, prefix: &str) -> bool {
        self.has_claims.load(Ordering::SeqCst) && lock(&self.claims).contains_key(prefix)
    }

    /// See [`FamilySeries::index`].
    pub(crate) fn index(&self, merged: &mut bool, budget: &mut Budget) -> Option<Arc<SeriesIndex>> {
        self.series.index(merged, budget)
    }
}
