//! Storage for metric values: cells in per-thread shards that are summed when read.
//!
//! Each thread adds to its own shard with a plain load and store, because no other thread writes there. The
//! hot path has no locks, no atomic read-modify-write operations and no cache lines shared between cores.
//!
//! Sums never decrease between scrapes: each copy of a cell only grows, and a scrape reads every copy later
//! than the scrape before it.

use std::marker::PhantomData;
use std::num::NonZeroU8;
use std::ops::Range;
use std::sync::atomic::Ordering;

use crate::registry::thread_slot;
use crate::registry::thread_slot::MAX_SLOTS;
use crate::sync::lock;
use crate::sync::{AtomicU64, Mutex, OnceLock, zeroed_cells};

/// The cells of one registry.
pub(crate) struct Store {
    /// By thread slot.
    owned: [OnceLock<Box<Shard>>; MAX_SLOTS],
    /// For threads without a slot. They add with atomic read-modify-write operations.
    shared: Shard,
    next_count: Mutex<CellId>,
    next_sum: Mutex<CellId>,
    /// Gauges have one copy that all threads write, because `set` has no meaning for a sum of copies.
    pub(crate) gauges: Gauges,
    /// The index of the current state of each state set.
    pub(crate) states: Gauges,
}

/// The copy of all cells that one thread writes.
#[derive(Default)]
struct Shard {
    /// Integers: counters, buckets, started and ended requests.
    counts: Blocks,
    /// Floating-point sums.
    sums: Blocks,
}

/// The index of a cell, the same in every shard.
pub(crate) type CellId = u32;

/// The cells of a series. A field that the instrument of the series does not use is 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SeriesCells {
    /// The first of the integer cells of the series, or the cell of its gauge or of its state set.
    pub(crate) cell: CellId,
    /// The cell of the floating-point sum; for a state, its index in the state set.
    pub(crate) sum: CellId,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            owned: std::array::from_fn(|_| OnceLock::new()),
            shared: Shard::default(),
            next_count: Mutex::default(),
            next_sum: Mutex::default(),
            gauges: Gauges::default(),
            states: Gauges::default(),
        }
    }
}

impl Store {
    /// Reserves `count` adjacent integer cells, all 0.
    pub(crate) fn reserve_counts(&self, count: usize) -> CellId {
        reserve(&self.next_count, count)
    }

    /// Reserves a cell for a floating-point sum, initially 0.
    pub(crate) fn reserve_sum(&self) -> CellId {
        reserve(&self.next_sum, 1)
    }

    /// Returns the exclusive end of the reserved integer cells.
    pub(crate) fn counts_end(&self) -> CellId {
        *lock(&self.next_count)
    }

    /// Returns the exclusive end of the reserved cells for sums.
    pub(crate) fn sums_end(&self) -> CellId {
        *lock(&self.next_sum)
    }

    /// Returns a writer to the calling thread's shard; `None` if the thread has no slot.
    #[inline]
    pub(crate) fn writer(&self) -> Option<Writer<'_>> {
        let slot = thread_slot::current()?;
        let shard = match self.owned[slot].get() {
            Some(shard) => shard,
            None => self.new_shard(slot),
        };
        Some(Writer {
            shard,
            this_thread: PhantomData,
        })
    }

    #[cold]
    fn new_shard(&self, slot: usize) -> &Shard {
        self.owned[slot].get_or_init(Box::default)
    }

    /// Adds an integer. The sum saturates at `u64::MAX`.
    #[inline]
    pub(crate) fn add_count(&self, at: Address, n: u64) {
        match self.writer() {
            Some(writer) => writer.add_count(at, n),
            None => add_shared_count(self.shared.counts.cell(at), n),
        }
    }

    #[inline]
    pub(crate) fn add_sum(&self, at: Address, x: f64) {
        match self.writer() {
            Some(writer) => writer.add_sum(at, x),
            None => add_float(self.shared.sums.cell(at), x),
        }
    }

    /// Increases the sum of a cell to `floor` if it is lower.
    pub(crate) fn raise_count(&self, cell: CellId, floor: u64) {
        // The lock prevents two calls from both adding the missing part.
        let _raising = lock(&self.next_count);
        let missing = floor.saturating_sub(self.count(cell));
        if missing > 0 {
            add_shared_count(self.shared.counts.cell(Address::of(cell)), missing);
        }
    }

    pub(crate) fn count(&self, cell: CellId) -> u64 {
        self.counts(cell, Ordering::Relaxed)
    }

    pub(crate) fn sum(&self, cell: CellId) -> f64 {
        let cells = self.shards().filter_map(|shard| shard.sums.peek(cell));
        // As `gather_sums` adds: from 0, in the order of the shards.
        cells.fold(0.0, |sum, cell| {
            sum + f64::from_bits(cell.load(Ordering::Acquire))
        })
    }

    /// Returns the sums of `first` and `second`, read in this order.
    ///
    /// If each addition to `first` happens after a matching addition to `second`, the returned `first` is
    /// never greater than `second`.
    pub(crate) fn count_pair(&self, first: CellId, second: CellId) -> (u64, u64) {
        let first = self.counts(first, Ordering::Acquire);
        (first, self.count(second))
    }

    fn counts(&self, cell: CellId, ordering: Ordering) -> u64 {
        self.shards()
            .filter_map(|shard| shard.counts.peek(cell))
            .map(|cell| cell.load(ordering))
            .fold(0, u64::saturating_add)
    }

    /// Sets a cell to 0 in all shards. No thread may add to it meanwhile.
    pub(crate) fn clear_count(&self, cell: CellId) {
        for cell in self.shards().filter_map(|shard| shard.counts.peek(cell)) {
            cell.store(0, Ordering::Relaxed);
        }
    }

    /// Like [`Store::clear_count`], for a floating-point sum.
    pub(crate) fn clear_sum(&self, cell: CellId) {
        for cell in self.shards().filter_map(|shard| shard.sums.peek(cell)) {
            cell.store(0, Ordering::Relaxed);
        }
    }

    fn shards(&self) -> impl Iterator<Item = &Shard> {
        let owned = self.owned.iter().filter_map(|shard| shard.get());
        owned.map(|shard| &**shard).chain([&self.shared])
    }

    /// Adds the counts of all shards to `into`, whose entry `i` is for the cell `range.start + i`.
    pub(crate) fn gather_counts(&self, range: Range<CellId>, into: &mut [u64]) {
        for shard in self.shards() {
            shard.counts.each(range.clone(), |i, value| {
                into[i] = into[i].saturating_add(value);
            });
        }
    }

    /// Like [`Store::gather_counts`], for floating-point sums.
    pub(crate) fn gather_sums(&self, range: Range<CellId>, into: &mut [f64]) {
        for shard in self.shards() {
            shard
                .sums
                .each(range.clone(), |i, value| into[i] += f64::from_bits(value));
        }
    }

    /// The number of shards to sum, including the shared one.
    pub(crate) fn live_shards(&self) -> usize {
        self.shards().count()
    }
}

/// Access to the calling thread's shard, looked up once for several additions.
#[derive(Clone, Copy)]
pub(crate) struct Writer<'a> {
    shard: &'a Shard,
    /// Makes the type `!Send`: only this thread may write to the shard.
    this_thread: PhantomData<*const ()>,
}

impl<'a> Writer<'a> {
    #[inline]
    pub(crate) fn add_count(self, at: Address, n: u64) {
        self.counts(at).add(at, n);
    }

    /// Adds 1, without saturating, to a cell that is only ever incremented by 1. At one increment per
    /// nanosecond it would overflow after 584 years.
    #[inline(always)]
    pub(crate) fn increment(self, at: Address) {
        self.counts(at).increment(at);
    }

    #[inline]
    pub(crate) fn add_sum(self, at: Address, x: f64) {
        let cell = self.shard.sums.cell(at);
        let sum = f64::from_bits(cell.load(Ordering::Relaxed)) + x;
        cell.store(sum.to_bits(), Ordering::Release);
    }

    /// Returns the block of the cell at `at`, for callers that add to several cells of the block.
    #[inline]
    pub(crate) fn counts(self, at: Address) -> Counts<'a> {
        Counts {
            cells: self.shard.counts.block(at),
            block: at.block,
            this_thread: PhantomData,
        }
    }

    /// Like [`counts`](Self::counts). Fast path: usually the cells of a request are in one block, so it is `last`.
    #[inline]
    pub(crate) fn counts_after(self, last: Counts<'a>, at: Address) -> Counts<'a> {
        if at.block == last.block {
            return last;
        }
        self.counts(at)
    }
}

/// One block of the integer cells of a [`Writer`].
#[derive(Clone, Copy)]
pub(crate) struct Counts<'a> {
    cells: &'a [AtomicU64],
    block: NonZeroU8,
    this_thread: PhantomData<*const ()>,
}

impl Counts<'_> {
    /// Adds to a cell of this block. The sum saturates at `u64::MAX`.
    #[inline(always)]
    pub(crate) fn add(self, at: Address, n: u64) {
        let cell = self.cell(at);
        let sum = cell.load(Ordering::Relaxed).saturating_add(n);
        cell.store(sum, Ordering::Release);
    }

    /// Like [`add`](Self::add) of 1, in fewer instructions: a sum that is saturated is not written.
    #[inline(always)]
    pub(crate) fn add_one(self, at: Address) {
        let cell = self.cell(at);
        let sum = cell.load(Ordering::Relaxed).wrapping_add(1);
        if sum != 0 {
            cell.store(sum, Ordering::Release);
        }
    }

    /// Like [`Writer::increment`], for a cell of this block.
    #[inline(always)]
    pub(crate) fn increment(self, at: Address) {
        let cell = self.cell(at);
        let sum = cell.load(Ordering::Relaxed).wrapping_add(1);
        // Release: if this counts the end of a request, a reader that sees it also sees the start, see
        // `count_pair`.
        cell.store(sum, Ordering::Release);
    }

    #[inline(always)]
    fn cell(&self, at: Address) -> &AtomicU64 {
        debug_assert!(at.block == self.block, "{at:?} is elsewhere");
        &self.cells[at.offset as usize]
    }
}

#[cold]
fn add_shared_count(cell: &AtomicU64, n: u64) {
    let add = |sum: u64| Some(sum.saturating_add(n));
    let _ = cell.fetch_update(Ordering::Release, Ordering::Relaxed, add);
}

/// Gauges: each has a cell with its value, and after it one that says whether it was recorded since the last page.
#[derive(Default)]
pub(crate) struct Gauges {
    values: Blocks,
    next: Mutex<CellId>,
}

/// The gauge was recorded since the last page.
const RECORDED: u64 = 1;
/// The gauge was incremented or decremented since it was last set.
const ADDED: u64 = 2;

impl Gauges {
    pub(crate) fn reserve(&self) -> CellId {
        reserve(&self.next, 2)
    }

    pub(crate) fn end(&self) -> CellId {
        *lock(&self.next)
    }

    pub(crate) fn set(&self, cell: CellId, x: f64) {
        let at = Address::of(cell);
        self.values.cell(at).store(x.to_bits(), Ordering::Relaxed);
        // After the value: a scrape that clears the mark also sees the value.
        self.mark(at).store(RECORDED, Ordering::Release);
    }

    pub(crate) fn add(&self, cell: CellId, x: f64) {
        let at = Address::of(cell);
        add_float(self.values.cell(at), x);
        self.mark(at).store(RECORDED | ADDED, Ordering::Release);
    }

    fn mark(&self, at: Address) -> &AtomicU64 {
        self.values.cell(at.plus(1))
    }

    /// Whether the gauge was recorded since the last call.
    pub(crate) fn take_recorded(&self, cell: CellId) -> bool {
        let mark = self.mark(Address::of(cell));
        mark.fetch_and(!RECORDED, Ordering::AcqRel) & RECORDED != 0
    }

    /// Whether the gauge was recorded since the last call of [`take_recorded`](Self::take_recorded).
    pub(crate) fn is_recorded(&self, cell: CellId) -> bool {
        self.mark(Address::of(cell)).load(Ordering::Acquire) & RECORDED != 0
    }

    /// Whether the gauge counts something: it is not 0 and was incremented or decremented since it was last set.
    pub(crate) fn is_counting(&self, cell: CellId) -> bool {
        let mark = self.mark(Address::of(cell)).load(Ordering::Acquire);
        mark & ADDED != 0 && self.get(cell) != 0.0
    }

    /// Sets a gauge that has left the page to 0, unless it was recorded since, or counts something.
    pub(crate) fn restart(&self, cell: CellId) {
        let at = Address::of(cell);
        let (value, mark) = (self.values.cell(at), self.mark(at));
        let old = value.load(Ordering::Relaxed);
        let is_recorded = || mark.load(Ordering::Acquire) != 0;
        let replace =
            |old, new| value.compare_exchange(old, new, Ordering::AcqRel, Ordering::Relaxed);
        if !is_recorded() && replace(old, 0).is_ok() && is_recorded() {
            // Set to the same value meanwhile.
            let _ = replace(0, old);
        }
    }

    /// Sets the gauge to 0, as if it was never recorded. No thread may record it meanwhile.
    pub(crate) fn clear(&self, cell: CellId) {
        let at = Address::of(cell);
        self.values.cell(at).store(0, Ordering::Relaxed);
        self.mark(at).store(0, Ordering::Relaxed);
    }

    pub(crate) fn get(&self, cell: CellId) -> f64 {
        let value = self.values.peek(cell);
        f64::from_bits(value.map_or(0, |value| value.load(Ordering::Relaxed)))
    }
}

fn add_float(cell: &AtomicU64, x: f64) {
    let add = |bits: u64| Some((f64::from_bits(bits) + x).to_bits());
    let _ = cell.fetch_update(Ordering::Release, Ordering::Relaxed, add);
}

/// The number of cells in the first block. Each block has twice as many cells as the one before it, and blocks
/// are never moved.
const FIRST_BLOCK: usize = if cfg!(loom) { 4 } else { 64 };
/// The length of the array of blocks. Blocks are numbered from 1; entry 0 is unused.
const BLOCKS: usize = if cfg!(loom) { 2 } else { 32 };

const fn size_of_block(block: usize) -> usize {
    FIRST_BLOCK << (block - 1)
}

/// The number of unused cells at each end of a block. They prevent false sharing between the shards of two
/// threads. 16 cells are two cache lines, because processors fetch cache lines in pairs.
const MARGIN: usize = if cfg!(loom) { 0 } else { 16 };

#[derive(Default)]
struct Blocks {
    blocks: [OnceLock<Box<[AtomicU64]>>; BLOCKS],
}

/// The position of a cell, the same in every shard. Computed once, when its series is registered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Address {
    /// The position in the block, including the [`MARGIN`] at its start.
    offset: u32,
    /// Never 0: with this niche, an `Option<Address>` is as small as an `Address`.
    block: NonZeroU8,
}

impl Address {
    pub(crate) fn of(cell: CellId) -> Self {
        let (block, offset) = locate(cell as usize);
        Self {
            offset: (MARGIN + offset) as u32,
            block: NonZeroU8::new(block as u8).unwrap_or(NonZeroU8::MIN),
        }
    }

    /// Returns the number of this address, which is never 0.
    pub(crate) fn to_bits(self) -> u64 {
        u64::from(self.offset) << 8 | u64::from(self.block.get())
    }

    /// Returns the address with this number; `None` for 0.
    #[inline]
    pub(crate) fn from_bits(bits: u64) -> Option<Self> {
        let block = NonZeroU8::new(bits as u8)?;
        let offset = (bits >> 8) as u32;
        Some(Self { offset, block })
    }

    /// Returns the cell at this address.
    pub(crate) fn cell(self) -> CellId {
        let block = usize::from(self.block.get());
        (first_of_block(block) + self.offset as usize - MARGIN) as CellId
    }

    /// Returns the address `n` cells after this one. Both cells must have been reserved together.
    #[inline]
    pub(crate) fn plus(self, n: u32) -> Self {
        Self {
            offset: self.offset + n,
            ..self
        }
    }
}

impl Blocks {
    #[inline]
    fn cell(&self, at: Address) -> &AtomicU64 {
        &self.block(at)[at.offset as usize]
    }

    /// Returns the block of a cell, allocating it on first use.
    #[inline(always)]
    fn block(&self, of: Address) -> &[AtomicU64] {
        // The block number is always below BLOCKS. The remainder lets the compiler omit the bounds check.
        let block = usize::from(of.block.get()) % BLOCKS;
        match self.blocks[block].get() {
            Some(cells) => cells,
            None => self.new_block(block),
        }
    }

    #[cold]
    fn new_block(&self, block: usize) -> &[AtomicU64] {
        self.blocks[block].get_or_init(|| zeroed_cells(size_of_block(block) + 2 * MARGIN))
    }

    /// Returns the cell; `None` if its block is not allocated, which means that its value is 0.
    #[inline]
    fn peek(&self, cell: CellId) -> Option<&AtomicU64> {
        let (block, offset) = locate(cell as usize);
        let cells = self.blocks[block].get()?;
        Some(&cells[MARGIN + offset])
    }

    /// Calls `f` for every cell of `range` whose block is allocated, with its position in `range` and its
    /// value. The other cells are 0.
    fn each(&self, range: Range<CellId>, mut f: impl FnMut(usize, u64)) {
        let (start, end) = (range.start as usize, range.end as usize);
        let mut cell = start;
        while cell < end {
            let (block, offset) = locate(cell);
            let until = end.min(cell - offset + size_of_block(block));
            if let Some(cells) = self.blocks[block].get() {
                let values = &cells[MARGIN + offset..];
                for (i, value) in (cell - start..until - start).zip(values) {
                    f(i, value.load(Ordering::Acquire));
                }
            }
            cell = until;
        }
    }
}

/// Returns the first cell of a block.
#[inline]
const fn first_of_block(block: usize) -> usize {
    size_of_block(block) - FIRST_BLOCK
}

/// Returns the block of a cell and its position in the block, without the [`MARGIN`].
#[inline]
fn locate(cell: usize) -> (usize, usize) {
    let block = (cell / FIRST_BLOCK + 1).ilog2() as usize + 1;
    (block, cell - first_of_block(block))
}

/// Reserves adjacent cells in one block, so that cells that are written together share cache lines.
fn reserve(next: &Mutex<CellId>, count: usize) -> CellId {
    let mut next = lock(next);
    let (mut block, mut offset) = locate(*next as usize);
    while offset + count > size_of_block(block) {
        (block, offset) = (block + 1, 0);
    }
    let first = (first_of_block(block) + offset) as CellId;
    *next = first + count as CellId;
    first
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn blocks_hold_all_cells_without_gaps() {
        let mut expected = (1, 0);
        for cell in 0..10_000 {
            assert_eq!(locate(cell), expected, "cell {cell}");
            expected.1 += 1;
            if expected.1 == size_of_block(expected.0) {
                expected = (expected.0 + 1, 0);
            }
        }
    }

    #[test]
    fn cells_reserved_together_share_a_block() {
        let cells = Store::default();
        for count in [60, 10, 14, 14, 500, 1] {
            let first = cells.reserve_counts(count) as usize;
            assert_eq!(locate(first).0, locate(first + count - 1).0);
        }
    }

    #[test]
    fn count_saturates_at_u64_max() {
        let cells = Store::default();
        let cell = cells.reserve_counts(1);
        cells.add_count(Address::of(cell), u64::MAX);
        cells.add_count(Address::of(cell), 5);
        let writer = cells.writer().unwrap();
        writer.counts(Address::of(cell)).add_one(Address::of(cell));
        std::thread::scope(|scope| {
            scope.spawn(|| cells.add_count(Address::of(cell), 7));
        });
        assert_eq!(cells.count(cell), u64::MAX);
        let mut gathered = vec![0; cells.counts_end() as usize];
        cells.gather_counts(0..cells.counts_end(), &mut gathered);
        assert_eq!(gathered[cell as usize], u64::MAX);
    }

    #[test]
    fn more_threads_than_slots_lose_no_sample() {
        let cells = Store::default();
        let (cell, sum) = (cells.reserve_counts(1), cells.reserve_sum());
        let threads = MAX_SLOTS + 40;
        let barrier = std::sync::Barrier::new(threads);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    cells.add_count(Address::of(cell), 1);
                    barrier.wait();
                    for _ in 0..1000 {
                        cells.add_count(Address::of(cell), 1);
                        cells.add_sum(Address::of(sum), 0.5);
                    }
                });
            }
        });
        assert_eq!(cells.count(cell), threads as u64 * 1001);
        assert_eq!(cells.sum(sum), threads as f64 * 500.0);
    }

    #[test]
    fn request_in_progress_is_always_seen() {
        let cells = Store::default();
        let started = cells.reserve_counts(2);
        let done = AtomicBool::new(false);
        cells.add_count(Address::of(started), 1);
        let open = std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        cells.add_count(Address::of(started), 1);
                        cells.add_count(Address::of(started + 1), 1);
                    }
                });
            }
            let open = (0..100_000).all(|_| {
                let (ended, started) = cells.count_pair(started + 1, started);
                started > ended
            });
            done.store(true, Ordering::Relaxed);
            open
        });
        assert!(open);
    }

    #[test]
    fn count_of_the_shared_shard_saturates_at_u64_max() {
        let cells = Store::default();
        let cell = cells.reserve_counts(1);
        add_shared_count(cells.shared.counts.cell(Address::of(cell)), u64::MAX);
        add_shared_count(cells.shared.counts.cell(Address::of(cell)), 7);
        assert_eq!(cells.count(cell), u64::MAX);
    }

    #[test]
    fn threads_without_a_shard_lose_no_sample() {
        let cells = Store::default();
        let sum = cells.reserve_sum();
        let taken = std::sync::Barrier::new(MAX_SLOTS + 1);
        let done = std::sync::Barrier::new(MAX_SLOTS + 1);
        std::thread::scope(|scope| {
            for _ in 0..MAX_SLOTS {
                scope.spawn(|| {
                    thread_slot::current();
                    taken.wait();
                    done.wait();
                });
            }
            taken.wait();
            std::thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        (0..3_000_000).for_each(|_| cells.add_sum(Address::of(sum), 0.5));
                    });
                }
            });
            done.wait();
        });
        assert_eq!(cells.sum(sum), 3_000_000.0);
    }

    #[test]
    fn shards_are_reused_by_later_threads() {
        let cells = Store::default();
        let cell = cells.reserve_counts(1);
        for _ in 0..2 * MAX_SLOTS {
            std::thread::scope(|scope| {
                scope.spawn(|| cells.add_count(Address::of(cell), 1));
            });
        }
        assert!(
            cells.live_shards() < MAX_SLOTS / 2,
            "{}",
            cells.live_shards()
        );
    }
}
