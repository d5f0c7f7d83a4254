//! Models of the registry's cells.

use loom::sync::Arc;
use loom::sync::mpsc::channel;
use loom::thread;

use super::cells::{Address, CellId, Store};
use super::native::NativeCells;
use super::thread_slot;
use crate::model::native::NativeHistogram;
use crate::{Task, run_threads};

pub(crate) const ALL: &[(&str, fn())] = &[
    (
        "requests in progress are never negative",
        in_progress_is_never_negative,
    ),
    (
        "requests in progress are never negative if another thread ends the request",
        request_ends_on_another_thread,
    ),
    (
        "a histogram sum has no sample that is not counted",
        sums_are_counted,
    ),
    ("counts never decrease", counts_never_decrease),
    (
        "a shard that another thread takes over loses no count",
        shard_is_taken_over,
    ),
    (
        "threads without a shard of their own lose no count",
        threads_share_a_shard,
    ),
    (
        "threads that reserve an octave of a native histogram together lose no count",
        native_octave_is_reserved_once,
    ),
    (
        "a native histogram's sum has no sample that is not counted",
        native_sums_are_counted,
    ),
];

fn store(cells: usize) -> (Arc<Store>, CellId) {
    let store = Store::default();
    let first = store.reserve_counts(cells);
    (Arc::new(store), first)
}

fn add(store: &Store, cell: CellId) {
    store.add_count(Address::of(cell), 1);
}

/// Runs each function on its own thread, then waits until all slots are returned. loom may let threads return
/// their slots after they are joined.
fn run_on(store: &Arc<Store>, functions: Vec<fn(&Store, CellId)>, cell: CellId) {
    let tasks = functions.into_iter().map(|function| {
        let store = Arc::clone(store);
        Box::new(move || function(&store, cell)) as Task
    });
    run_threads(tasks.collect());
    wait_for_returned_slots();
}

pub(super) fn wait_for_returned_slots() {
    while thread_slot::assigned() > 0 {
        thread::yield_now();
    }
}

fn check_in_progress(store: &Store, began: CellId) {
    let (ended, started) = store.count_pair(began + 1, began);
    assert!(ended <= started, "{ended} of {started}");
}

fn in_progress_is_never_negative() {
    let (store, began) = store(2);
    // As a request does: through a `Writer` if the thread owns a shard.
    let begin_and_end = |store: &Store, began| {
        for cell in [began, began + 1] {
            match store.writer() {
                Some(writer) => writer.increment(Address::of(cell)),
                None => add(store, cell),
            }
        }
    };
    run_on(&store, vec![begin_and_end, check_in_progress], began);
    assert_eq!(store.count_pair(began + 1, began), (1, 1));
}

fn request_ends_on_another_thread() {
    let (store, began) = store(2);
    let (send, receive) = channel();
    let [first, second, third] = [(); 3].map(|()| Arc::clone(&store));
    run_threads(vec![
        Box::new(move || {
            add(&first, began);
            send.send(()).unwrap();
        }),
        Box::new(move || {
            receive.recv().unwrap();
            add(&second, began + 1);
        }),
        Box::new(move || check_in_progress(&third, began)),
    ]);
    wait_for_returned_slots();
}

/// A histogram writes the bucket before the sum, and a scrape reads the sum before the bucket.
fn sums_are_counted() {
    let (store, bucket) = store(1);
    // The first cell of each kind has the same number.
    assert_eq!(store.reserve_sum(), bucket);
    let observe = |store: &Store, cell| match store.writer() {
        Some(writer) => {
            writer.add_count(Address::of(cell), 1);
            writer.add_sum(Address::of(cell), 2.0);
        }
        None => {
            store.add_count(Address::of(cell), 1);
            store.add_sum(Address::of(cell), 2.0);
        }
    };
    let scrape = |store: &Store, cell| {
        let (mut sums, mut counts) = ([0.0], [0]);
        store.gather_sums(cell..cell + 1, &mut sums);
        store.gather_counts(cell..cell + 1, &mut counts);
        assert!(sums[0] <= 2.0 * counts[0] as f64, "{sums:?} of {counts:?}");
    };
    run_on(&store, vec![observe], bucket);
    run_on(&store, vec![observe, scrape], bucket);
}

fn counts_never_decrease() {
    let (store, cell) = store(1);
    let record = |store: &Store, cell| {
        add(store, cell);
        add(store, cell);
    };
    let scrape_twice = |store: &Store, cell| {
        let gather = || {
            let mut counts = [0];
            store.gather_counts(cell..cell + 1, &mut counts);
            counts[0]
        };
        let (first, second) = (gather(), gather());
        assert!(first <= second, "{first}, then {second}");
    };
    run_on(&store, vec![record, scrape_twice], cell);
    assert_eq!(store.count(cell), 2);
}

/// A thread ends while another starts and may get its slot. A third thread gets the slot of one of them.
fn shard_is_taken_over() {
    let (store, cell) = store(1);
    run_on(&store, vec![add, add], cell);
    run_on(&store, vec![add], cell);
    assert_eq!(store.count(cell), 3);
}

/// There are two more threads than slots.
fn threads_share_a_shard() {
    let (store, cell) = store(1);
    run_on(&store, vec![add; thread_slot::MAX_SLOTS + 2], cell);
    assert_eq!(store.count(cell), thread_slot::MAX_SLOTS as u64 + 2);
}

/// The sample of the models of native histograms, in the first octave that is found by its number.
const SAMPLE: f64 = 0.75;

/// A store with a native histogram of one bucket an octave, and the cell of its sum.
fn native() -> (std::sync::Arc<Store>, Arc<NativeCells>, CellId) {
    let store = std::sync::Arc::new(Store::default());
    let spec = NativeHistogram::new(2.0).check().unwrap();
    let cells = Arc::new(NativeCells::new(spec, std::sync::Arc::clone(&store)));
    let sum = store.reserve_sum();
    (store, cells, sum)
}

fn observe_native(store: &Store, cells: &NativeCells, sum: CellId) {
    store.add_count(cells.address(SAMPLE), 1);
    store.add_sum(Address::of(sum), SAMPLE);
}

fn native_counts(store: &Store) -> Vec<u64> {
    let end = store.counts_end();
    let mut counts = vec![0; end as usize];
    store.gather_counts(0..end, &mut counts);
    counts
}

fn native_octave_is_reserved_once() {
    let (store, cells, sum) = native();
    let observe = || {
        let (store, cells) = (store.clone(), Arc::clone(&cells));
        Box::new(move || observe_native(&store, &cells, sum)) as Task
    };
    run_threads(vec![observe(), observe()]);
    wait_for_returned_slots();
    assert_eq!(cells.read(&native_counts(&store)).count(), 2);
    // The zero bucket, and one octave.
    assert_eq!(store.counts_end(), 2);
}

/// A scrape reads the sums first, then which cells there are, and then the cells.
fn native_sums_are_counted() {
    let (store, cells, sum) = native();
    let (observed, scraped) = (store.clone(), Arc::clone(&cells));
    run_threads(vec![
        Box::new(move || observe_native(&observed, &cells, sum)),
        Box::new(move || {
            let mut sums = [0.0];
            store.gather_sums(sum..sum + 1, &mut sums);
            let count = scraped.read(&native_counts(&store)).count();
            assert!(sums[0] <= SAMPLE * count as f64, "{sums:?} of {count}");
        }),
    ]);
    wait_for_returned_slots();
}
