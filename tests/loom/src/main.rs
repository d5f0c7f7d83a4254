//! Models of the lock-free code, checked by loom in every order that threads and memory allow.
//!
//! The files are those of the crate. This is a binary, because the tests in these files are for std.

#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "the crate around these files uses the rest of them"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[path = "../../../src/sync.rs"]
mod sync;

mod registry {
    #[path = "../../../../src/registry/cells.rs"]
    mod cells;
    #[path = "../../../../src/registry/thread_slot.rs"]
    mod thread_slot;

    pub(crate) mod models;
}

mod maps {
    #[path = "../../../../src/maps/branching.rs"]
    mod branching;
    #[path = "../../../../src/maps/slots.rs"]
    pub(crate) mod slots;
    #[path = "../../../../src/maps/table.rs"]
    pub(crate) mod table;

    pub(crate) mod models;

    /// The limit of `src/maps/mod.rs`.
    const MAX_NAME_LEN: usize = 1024;
}

pub(crate) type Work = Box<dyn FnOnce()>;

/// Runs each closure on its own thread. Nothing under test runs on the first thread of the model, because loom
/// does not order its reads after the writes of other threads.
pub(crate) fn all(works: Vec<Work>) {
    let threads: Vec<_> = works.into_iter().map(loom::thread::spawn).collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

fn main() {
    let models = registry::models::ALL.iter().chain(maps::models::ALL);
    for (promise, model) in models {
        explore(promise, *model);
    }
}

fn explore(promise: &str, model: fn()) {
    let runs = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&runs);
    let mut explorer = loom::model::Builder::new();
    // Each further preemption multiplies the orders; bugs show after one or two.
    explorer.preemption_bound = Some(2);
    explorer.check(move || {
        count.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let runs = runs.load(Ordering::Relaxed);
    assert!(runs > 10, "{promise}: only {runs} orders");
    println!("{promise}: {runs} orders");
}
