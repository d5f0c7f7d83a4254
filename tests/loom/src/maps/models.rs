//! Rules of the grow-only maps.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};

use super::slots::{SlotKey, Slots};
use super::table::Table;
use crate::{Work, all};

pub(crate) const ALL: &[(&str, fn())] = &[
    ("two threads find one value for a key", one_value_for_a_key),
    ("a key that was added is found", what_was_added_is_found),
    ("a table keeps its cap", a_table_keeps_its_cap),
    ("a table has one value for a name", one_value_for_a_name),
];

impl SlotKey for u32 {
    fn bits(self) -> u64 {
        u64::from(self)
    }
}

fn one_value_for_a_key() {
    let slots = Arc::new(Slots::<u32, usize>::default());
    let made = Arc::new(AtomicUsize::new(0));
    let ask = |keys: [u32; 2]| {
        let (slots, made) = (Arc::clone(&slots), Arc::clone(&made));
        Box::new(move || {
            for key in keys {
                let make = || 10 * key as usize + made.fetch_add(1, Ordering::Relaxed);
                let value = slots.get_or_insert(key, make);
                assert_eq!(value / 10, key as usize);
                assert!(std::ptr::eq(value, slots.get(key).unwrap()));
            }
        }) as Work
    };
    all(vec![ask([1, 2]), ask([2, 1])]);
    assert_eq!(made.load(Ordering::Relaxed), 2);
}

/// Also by a thread that only heard of it, while another key is added.
fn what_was_added_is_found() {
    let slots = Arc::new(Slots::<u32, u32>::default());
    let [first, second, third] = [(); 3].map(|()| Arc::clone(&slots));
    let added = Arc::new(AtomicUsize::new(0));
    let heard = Arc::clone(&added);
    all(vec![
        Box::new(move || {
            first.get_or_insert(1, || 10);
        }),
        Box::new(move || {
            second.get_or_insert(2, || 20);
            added.store(1, Ordering::Release);
        }),
        Box::new(move || {
            if heard.load(Ordering::Acquire) == 1 {
                assert_eq!(third.get(2), Some(&20));
            }
        }),
    ]);
}

fn a_table_keeps_its_cap() {
    let table = Arc::new(Table::<u32>::new(1));
    let ask = |name: &'static str| {
        let table = Arc::clone(&table);
        Box::new(move || {
            let value = table.get_or_insert(name, |_| 7);
            // Who is refused finds the table full, and its own name not there.
            assert!(value.is_some() || table.is_full());
            assert_eq!(table.get(name), value);
        }) as Work
    };
    all(vec![ask("one"), ask("two")]);
    let known = ["one", "two"].map(|name| table.get(name).is_some());
    assert!(known[0] != known[1], "one name and no more: {known:?}");
}

fn one_value_for_a_name() {
    let table = Arc::new(Table::<u32>::new(2));
    let made = Arc::new(AtomicUsize::new(0));
    let ask = |names: [&'static str; 2]| {
        let (table, made) = (Arc::clone(&table), Arc::clone(&made));
        Box::new(move || {
            for name in names {
                let make = |_| made.fetch_add(1, Ordering::Relaxed) as u32;
                let value = table.get_or_insert(name, make).unwrap();
                assert!(std::ptr::eq(value, table.get(name).unwrap()));
            }
        }) as Work
    };
    all(vec![ask(["one", "two"]), ask(["two", "one"])]);
    assert_eq!(made.load(Ordering::Relaxed), 2);
}
