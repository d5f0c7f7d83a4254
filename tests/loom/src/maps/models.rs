//! Models of the grow-only maps.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};

use super::slots::{SlotKey, Slots};
use super::table::Table;
use crate::{Task, run_threads};

pub(crate) const ALL: &[(&str, fn())] = &[
    (
        "two threads get the same value for a key",
        one_value_for_a_key,
    ),
    ("a key that was added is found", added_key_is_found),
    ("a table does not exceed its limit", table_keeps_its_limit),
    (
        "two threads get the same value for a name",
        one_value_for_a_name,
    ),
];

impl SlotKey for u32 {
    fn bits(self) -> u64 {
        u64::from(self)
    }
}

fn one_value_for_a_key() {
    let slots = Arc::new(Slots::<u32, usize>::default());
    let made = Arc::new(AtomicUsize::new(0));
    let insert = |keys: [u32; 2]| {
        let (slots, made) = (Arc::clone(&slots), Arc::clone(&made));
        Box::new(move || {
            for key in keys {
                let make = || 10 * key as usize + made.fetch_add(1, Ordering::Relaxed);
                let value = slots.get_or_insert(key, make);
                assert_eq!(value / 10, key as usize);
                assert!(std::ptr::eq(value, slots.get(key).unwrap()));
            }
        }) as Task
    };
    run_threads(vec![insert([1, 2]), insert([2, 1])]);
    assert_eq!(made.load(Ordering::Relaxed), 2);
}

/// A thread that learns of the key through another atomic finds it, while a third thread adds another key.
fn added_key_is_found() {
    let slots = Arc::new(Slots::<u32, u32>::default());
    let [first, second, third] = [(); 3].map(|()| Arc::clone(&slots));
    let added = Arc::new(AtomicUsize::new(0));
    let is_added = Arc::clone(&added);
    run_threads(vec![
        Box::new(move || {
            first.get_or_insert(1, || 10);
        }),
        Box::new(move || {
            second.get_or_insert(2, || 20);
            added.store(1, Ordering::Release);
        }),
        Box::new(move || {
            if is_added.load(Ordering::Acquire) == 1 {
                assert_eq!(third.get(2), Some(&20));
            }
        }),
    ]);
}

fn table_keeps_its_limit() {
    let table = Arc::new(Table::<u32>::new(1));
    let insert = |name: &'static str| {
        let table = Arc::clone(&table);
        Box::new(move || {
            let value = table.get_or_insert(name, |_| 7);
            // If the insert is refused, the table is full and does not contain the name.
            assert!(value.is_some() || table.is_full());
            assert_eq!(table.get(name), value);
        }) as Task
    };
    run_threads(vec![insert("one"), insert("two")]);
    let known = ["one", "two"].map(|name| table.get(name).is_some());
    assert!(known[0] != known[1], "exactly one name is known: {known:?}");
}

fn one_value_for_a_name() {
    let table = Arc::new(Table::<u32>::new(2));
    let made = Arc::new(AtomicUsize::new(0));
    let insert = |names: [&'static str; 2]| {
        let (table, made) = (Arc::clone(&table), Arc::clone(&made));
        Box::new(move || {
            for name in names {
                let make = |_| made.fetch_add(1, Ordering::Relaxed) as u32;
                let value = table.get_or_insert(name, make).unwrap();
                assert!(std::ptr::eq(value, table.get(name).unwrap()));
            }
        }) as Task
    };
    run_threads(vec![insert(["one", "two"]), insert(["two", "one"])]);
    assert_eq!(made.load(Ordering::Relaxed), 2);
}
