//! Handles of series. Each holds a store and the addresses of the cells to write.

use std::sync::Arc;

use crate::model::bounds::Buckets;
use crate::model::trace::TraceId;
#[cfg(feature = "summary")]
use crate::registry::cells::SeriesCells;
use crate::registry::cells::{Address, CellId, Counts, Store, Writer};
use crate::registry::exemplars::Exemplars;
use crate::registry::histogram_cells::HistogramCells;
use crate::registry::lifetime::Lifetime;
use crate::registry::native::NativeCells;
#[cfg(feature = "summary")]
use crate::registry::window::Window;

/// Returns a copy of a handle, which needs no further pointer to record. Unless the series is permanent, the copy keeps
/// the registered handle: while it exists, the cells belong to its series.
pub(crate) fn copy_of<H: Copied>(handle: &Arc<H>, lifetime: &Lifetime) -> H {
    let mut copy = (**handle).clone();
    if !lifetime.is_permanent() {
        *copy.registered() = Some(Arc::clone(handle));
    }
    copy
}

/// A handle that is copied by [`copy_of`].
pub(crate) trait Copied: Clone {
    /// The handle in the map of handles, if this is a copy of it.
    fn registered(&mut self) -> &mut Option<Arc<Self>>;
}

macro_rules! copied {
    ($($(#[$feature:meta])? $handle:ty,)+) => {
        $($(#[$feature])? impl Copied for $handle {
            fn registered(&mut self) -> &mut Option<Arc<Self>> {
                &mut self.registered
            }
        })+
    };
}

copied! {
    RegistryCounter,
    RegistryFloatCounter,
    RegistryGauge,
    RegistryHistogram,
    RegistryInProgress,
    RegistryStateSet,
    #[cfg(feature = "summary")] RegistrySummary,
}

/// A counter of integers.
#[derive(Clone)]
pub(crate) struct RegistryCounter {
    store: Arc<Store>,
    cell: CellId,
    at: Address,
    /// See [`copy_of`].
    registered: Option<Arc<Self>>,
}

impl RegistryCounter {
    pub(crate) fn new(store: Arc<Store>, cell: CellId) -> Self {
        let at = Address::of(cell);
        Self {
            store,
            cell,
            at,
            registered: None,
        }
    }

    #[inline]
    pub(crate) fn add(&self, n: u64) {
        self.store.add_count(self.at, n);
    }
}

impl metrics::CounterFn for RegistryCounter {
    fn increment(&self, value: u64) {
        self.add(value);
    }

    fn absolute(&self, value: u64) {
        self.store.raise_count(self.cell, value);
    }
}

/// A counter of fractions.
#[derive(Clone)]
pub(crate) struct RegistryFloatCounter {
    store: Arc<Store>,
    sum: Address,
    /// See [`copy_of`].
    registered: Option<Arc<Self>>,
}

impl RegistryFloatCounter {
    pub(crate) fn new(store: Arc<Store>, sum: CellId) -> Self {
        let sum = Address::of(sum);
        Self {
            store,
            sum,
            registered: None,
        }
    }

    #[inline]
    pub(crate) fn add(&self, x: f64) {
        self.store.add_sum(self.sum, x);
    }
}

/// A gauge that can be set, incremented and decremented.
#[derive(Clone)]
pub(crate) struct RegistryGauge {
    store: Arc<Store>,
    cell: CellId,
    /// See [`copy_of`].
    registered: Option<Arc<Self>>,
}

impl RegistryGauge {
    pub(crate) fn new(store: Arc<Store>, cell: CellId) -> Self {
        Self {
            store,
            cell,
            registered: None,
        }
    }

    #[inline]
    pub(crate) fn add(&self, x: f64) {
        self.store.gauges.add(self.cell, x);
    }

    #[inline]
    pub(crate) fn set(&self, x: f64) {
        self.store.gauges.set(self.cell, x);
    }
}

impl metrics::GaugeFn for RegistryGauge {
    fn increment(&self, value: f64) {
        self.add(value);
    }

    fn decrement(&self, value: f64) {
        self.add(-value);
    }

    fn set(&self, value: f64) {
        RegistryGauge::set(self, value);
    }
}

/// A state set: the index of its current state.
#[derive(Clone)]
pub(crate) struct RegistryStateSet {
    store: Arc<Store>,
    cell: CellId,
    /// See [`copy_of`].
    registered: Option<Arc<Self>>,
}

impl RegistryStateSet {
    pub(crate) fn new(store: Arc<Store>, cell: CellId) -> Self {
        Self {
            store,
            cell,
            registered: None,
        }
    }

    #[inline]
    pub(crate) fn set(&self, state: u32) {
        self.store.states.set(self.cell, f64::from(state));
    }
}

/// A gauge made of two counters, so that threads that increment and decrement it share no cache line.
///
/// The first cell counts starts, the second counts ends. The gauge is never negative, because each start is
/// counted before its end and readers read the ends first.
#[derive(Clone)]
pub(crate) struct RegistryInProgress {
    store: Arc<Store>,
    started: Address,
    /// See [`copy_of`].
    registered: Option<Arc<Self>>,
}

impl RegistryInProgress {
    pub(crate) fn new(store: Arc<Store>, started: CellId) -> Self {
        let started = Address::of(started);
        Self {
            store,
            started,
            registered: None,
        }
    }

    pub(crate) fn start(&self) {
        self.store.add_count(self.started, 1);
    }

    pub(crate) fn end(&self) {
        self.store.add_count(self.started.plus(1), 1);
    }

    pub(crate) fn cells(&self) -> InProgressCells {
        InProgressCells {
            started: self.started,
        }
    }
}

/// The cells of a [`RegistryInProgress`], for callers that hold a [`Writer`] of its store.
#[derive(Clone, Copy)]
pub(crate) struct InProgressCells {
    started: Address,
}

impl InProgressCells {
    #[inline]
    pub(crate) fn start(self, writer: Writer<'_>) {
        writer.increment(self.started);
    }

    /// `last` is the block of the cell that was written before.
    #[inline]
    pub(crate) fn end<'a>(self, writer: Writer<'a>, last: Counts<'a>) {
        let ended = self.started.plus(1);
        writer.counts_after(last, ended).increment(ended);
    }
}

/// A histogram: a count per bucket, and the sum of the observations.
#[derive(Clone)]
pub(crate) struct RegistryHistogram {
    store: Arc<Store>,
    classic: Option<ClassicAddress>,
    native: Option<Arc<NativeCells>>,
    sum: Address,
    exemplars: Option<Arc<Exemplars>>,
    /// See [`copy_of`].
    registered: Option<Arc<Self>>,
}

/// The address of the first of the classic buckets. The cells of the other buckets follow it.
#[derive(Clone)]
struct ClassicAddress {
    first: Address,
    bounds: Buckets,
}

impl ClassicAddress {
    /// The cell of the bucket of a sample.
    #[inline]
    fn of(&self, sample: f64) -> Address {
        bucket_address(&self.bounds, self.first, sample)
    }
}

impl RegistryHistogram {
    pub(crate) fn new(
        store: Arc<Store>,
        buckets: &HistogramCells,
        sum: CellId,
        exemplars: Option<Arc<Exemplars>>,
    ) -> Self {
        let classic = buckets.classic.as_ref().map(|classic| ClassicAddress {
            first: Address::of(classic.first),
            bounds: classic.bounds.clone(),
        });
        Self {
            store,
            classic,
            native: buckets.native.clone(),
            sum: Address::of(sum),
            exemplars,
            registered: None,
        }
    }

    /// Records an observation. NaN is ignored. An infinite value is counted in its bucket but not added to
    /// the sum, because the sum would never be finite again.
    #[inline]
    pub(crate) fn observe(&self, sample: f64) {
        match self.store.writer() {
            Some(writer) if !sample.is_nan() => self.observe_with(writer, sample),
            _ => self.observe_many(sample, 1),
        }
    }

    /// Like [`observe`](Self::observe), for a sample that is not NaN and a writer of the histogram's store.
    #[inline]
    fn observe_with(&self, writer: Writer<'_>, sample: f64) {
        if let Some(classic) = &self.classic {
            writer.add_count(classic.of(sample), 1);
        }
        if let Some(native) = &self.native {
            writer.add_count(native.address(sample), 1);
        }
        // The sum is written last, and scrapes read sums first: each observation in the sum that a scrape
        // reads is also in its buckets.
        if sample.is_finite() {
            writer.add_sum(self.sum, sample);
        }
    }

    fn observe_many(&self, sample: f64, count: u64) {
        if sample.is_nan() || count == 0 {
            return;
        }
        if let Some(classic) = &self.classic {
            self.store.add_count(classic.of(sample), count);
        }
        if let Some(native) = &self.native {
            let bucket = native.address(sample);
            self.store.add_count(bucket, count);
        }
        // The sum is written last, as in `observe`.
        let sum = sample * count as f64;
        if sum.is_finite() {
            self.store.add_sum(self.sum, sum);
        }
    }

    /// Records an observation with its trace as an exemplar, if the series keeps exemplars.
    pub(crate) fn observe_traced(&self, sample: f64, trace: TraceId) {
        self.observe(sample);
        let Some(exemplars) = self.exemplars.as_ref().filter(|_| !sample.is_nan()) else {
            return;
        };
        match &self.classic {
            Some(classic) => exemplars.offer(classic.bounds.position(sample), sample, trace),
            None => exemplars.offer_native(sample, trace),
        }
    }
}

impl metrics::HistogramFn for RegistryHistogram {
    fn record(&self, value: f64) {
        self.observe(value);
    }

    fn record_many(&self, value: f64, count: usize) {
        self.observe_many(value, count as u64);
    }
}

/// Returns the cell of the bucket of a sample. `first` is the cell of the first bucket.
#[inline]
fn bucket_address(bounds: &Buckets, first: Address, sample: f64) -> Address {
    first.plus(bounds.position(sample) as u32)
}

/// The cells that record the end of a request: those of a [`RegistryCounter`] and of a
/// [`RegistryHistogram`] in the same store.
///
/// They are separate from the handles so that the hot path reads less memory.
pub(crate) struct RequestCells {
    requests: Address,
    sum: Address,
    buckets: DurationBuckets,
    /// Keeps the cells, see [`copy_of`]. Boxed, because most series are permanent.
    _registered: Option<Box<Registered>>,
}

/// The handles of a [`RequestCells`]; `None` for a series that is permanent.
type Registered = (Option<Arc<RegistryCounter>>, Option<Arc<RegistryHistogram>>);

enum DurationBuckets {
    /// The first of the classic buckets.
    Classic(Address),
    Native(Arc<NativeCells>),
}

impl RequestCells {
    /// `bounds` must be those of `duration`, and must be passed to [`count`](Self::count). `None` if the histogram has
    /// classic and native buckets.
    pub(crate) fn of(
        requests: &RegistryCounter,
        duration: &RegistryHistogram,
        bounds: &Buckets,
    ) -> Option<Self> {
        let buckets = match (&duration.classic, &duration.native) {
            (Some(classic), None) => {
                // With other bounds, `count` would write to the cells of another series.
                debug_assert_eq!(classic.bounds, *bounds);
                DurationBuckets::Classic(classic.first)
            }
            (None, Some(native)) => DurationBuckets::Native(Arc::clone(native)),
            _ => return None,
        };
        Some(Self {
            requests: requests.at,
            sum: duration.sum,
            buckets,
            _registered: match (&requests.registered, &duration.registered) {
                (None, None) => None,
                (requests, duration) => Some(Box::new((requests.clone(), duration.clone()))),
            },
        })
    }

    /// Counts a request and its duration. `bounds` are those of the histogram. Returns the block of the bucket.
    #[inline]
    pub(crate) fn count<'a>(
        &self,
        writer: Writer<'a>,
        bounds: &Buckets,
        seconds: f64,
    ) -> Counts<'a> {
        let counts = writer.counts(self.requests);
        counts.add_one(self.requests);
        let bucket = self.bucket(bounds, seconds);
        let counts = writer.counts_after(counts, bucket);
        counts.add_one(bucket);
        // The sum is written last, as in `RegistryHistogram::observe`. A duration is always finite.
        writer.add_sum(self.sum, seconds);
        counts
    }

    /// The cell of the bucket of a duration.
    #[inline]
    fn bucket(&self, bounds: &Buckets, seconds: f64) -> Address {
        match &self.buckets {
            DurationBuckets::Classic(first) => bucket_address(bounds, *first, seconds),
            DurationBuckets::Native(native) => native.address(seconds),
        }
    }

    /// Like [`RequestCells::count`], but also works on threads without a writer.
    pub(crate) fn count_anywhere(&self, store: &Store, bounds: &Buckets, seconds: f64) {
        store.add_count(self.requests, 1);
        store.add_count(self.bucket(bounds, seconds), 1);
        store.add_sum(self.sum, seconds);
    }
}

/// A summary: count and sum of the observations, and sketches of the recent ones.
#[cfg(feature = "summary")]
#[derive(Clone)]
pub(crate) struct RegistrySummary {
    store: Arc<Store>,
    count: Address,
    sum: Address,
    /// `None` only if the family is not a summary.
    window: Option<Arc<Window>>,
    /// See [`copy_of`].
    registered: Option<Arc<Self>>,
}

#[cfg(feature = "summary")]
impl RegistrySummary {
    pub(crate) fn new(store: Arc<Store>, cells: SeriesCells, window: Option<Arc<Window>>) -> Self {
        Self {
            store,
            count: Address::of(cells.cell),
            sum: Address::of(cells.sum),
            window,
            registered: None,
        }
    }

    /// Records an observation. NaN is ignored. An infinite value is counted but not added to the sum, nor to
    /// the sketch, which cannot represent it.
    pub(crate) fn observe(&self, sample: f64) {
        self.observe_many(sample, 1);
    }

    fn observe_many(&self, sample: f64, count: u64) {
        if sample.is_nan() || count == 0 {
            return;
        }
        self.store.add_count(self.count, count);
        if !sample.is_finite() {
            return;
        }
        let sum = sample * count as f64;
        if sum.is_finite() {
            self.store.add_sum(self.sum, sum);
        }
        if let Some(window) = &self.window {
            window.add(sample, count);
        }
    }
}

#[cfg(feature = "summary")]
impl metrics::HistogramFn for RegistrySummary {
    fn record(&self, value: f64) {
        self.observe(value);
    }

    fn record_many(&self, value: f64, count: usize) {
        self.observe_many(value, count as u64);
    }
}
