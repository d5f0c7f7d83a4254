//! What the registry's cells promise.

use loom::sync::Arc;
use loom::sync::mpsc::channel;
use loom::thread;

use super::cells::{Address, CellId, Store};
use super::thread_slot;
use crate::{Work, all};

pub(crate) const ALL: &[(&str, fn())] = &[
    (
        "in progress is never below 0",
        in_progress_is_never_negative,
    ),
    (
        "nor where another thread ends it",
        in_progress_ends_elsewhere,
    ),
    ("nothing is summed that is not counted", sums_are_counted),
    ("no sum goes down", sums_only_grow),
    ("a shard handed over loses nothing", a_shard_is_handed_over),
    (
        "threads without a shard lose nothing",
        threads_share_a_shard,
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

/// Does the work on a store, each on a thread of its own, and waits until all slots are given back,
/// which loom lets threads do after they were joined.
fn on(store: &Arc<Store>, works: Vec<fn(&Store, CellId)>, cell: CellId) {
    let works = works.into_iter().map(|work| {
        let store = Arc::clone(store);
        Box::new(move || work(&store, cell)) as Work
    });
    all(works.collect());
    settle();
}

fn settle() {
    while thread_slot::lent() > 0 {
        thread::yield_now();
    }
}

fn look_at_progress(store: &Store, began: CellId) {
    let (ended, started) = store.count_pair(began + 1, began);
    assert!(ended <= started, "{ended} of {started}");
}

fn in_progress_is_never_negative() {
    let (store, began) = store(2);
    // As a request does, if its thread has a copy of its own.
    let begin_and_end = |store: &Store, began| {
        for cell in [began, began + 1] {
            match store.writer() {
                Some(writer) => writer.increment(Address::of(cell)),
                None => add(store, cell),
            }
        }
    };
    on(&store, vec![begin_and_end, look_at_progress], began);
    assert_eq!(store.count_pair(began + 1, began), (1, 1));
}

fn in_progress_ends_elsewhere() {
    let (store, began) = store(2);
    let (send, receive) = channel();
    let [first, second, third] = [(); 3].map(|()| Arc::clone(&store));
    all(vec![
        Box::new(move || {
            add(&first, began);
            send.send(()).unwrap();
        }),
        Box::new(move || {
            receive.recv().unwrap();
            add(&second, began + 1);
        }),
        Box::new(move || look_at_progress(&third, began)),
    ]);
    settle();
}

/// As a histogram writes a sample and a scrape reads it: the bucket before the sum, the sum first.
fn sums_are_counted() {
    let (store, bucket) = store(1);
    // The first of its kind has the same number.
    assert_eq!(store.reserve_sum(), bucket);
    let observe = |store: &Store, cell| {
        match store.writer() {
            Some(writer) => {
                writer.add_count(Address::of(cell), 1);
                writer.add_sum(Address::of(cell), 2.0);
            }
            None => {
                store.add_count(Address::of(cell), 1);
                store.add_sum(Address::of(cell), 2.0);
            }
        }
    };
    let scrape = |store: &Store, cell| {
        let (mut sums, mut counts) = ([0.0], [0]);
        store.gather_sums(cell..cell + 1, &mut sums);
        store.gather_counts(cell..cell + 1, &mut counts);
        assert!(sums[0] <= 2.0 * counts[0] as f64, "{sums:?} of {counts:?}");
    };
    on(&store, vec![observe], bucket);
    on(&store, vec![observe, scrape], bucket);
}

fn sums_only_grow() {
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
    on(&store, vec![record, scrape_twice], cell);
    assert_eq!(store.count(cell), 2);
}

/// One thread ends while another begins, and may get its slot; a third gets one of theirs.
fn a_shard_is_handed_over() {
    let (store, cell) = store(1);
    on(&store, vec![add, add], cell);
    on(&store, vec![add], cell);
    assert_eq!(store.count(cell), 3);
}

/// Two threads more than there are slots.
fn threads_share_a_shard() {
    let (store, cell) = store(1);
    on(&store, vec![add; thread_slot::MAX_SLOTS + 2], cell);
    assert_eq!(store.count(cell), thread_slot::MAX_SLOTS as u64 + 2);
}
