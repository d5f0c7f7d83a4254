//! Models of the lock-free code, run through every order of threads and memory that may be.
//!
//! The files are the crate's own. A binary and no test, because theirs are for std.

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

mod series {
    #[path = "../../../../src/series/slots.rs"]
    pub(crate) mod slots;
    #[path = "../../../../src/series/table.rs"]
    pub(crate) mod table;

    pub(crate) mod models;
}

pub(crate) type Work = Box<dyn FnOnce()>;

/// Does all the work, each on a thread of its own. Nothing to be explored runs on the model's first
/// thread, whose reads loom does not put after the writes of others.
pub(crate) fn all(works: Vec<Work>) {
    let threads: Vec<_> = works.into_iter().map(loom::thread::spawn).collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

fn main() {
    let models = registry::models::ALL.iter().chain(series::models::ALL);
    for (promise, model) in models {
        explore(promise, *model);
    }
}

fn explore(promise: &str, model: fn()) {
    let runs = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&runs);
    let mut explorer = loom::model::Builder::new();
    // Each further switch multiplies the orders; what is wrong shows after one or two.
    explorer.preemption_bound = Some(2);
    explorer.check(move || {
        count.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let runs = runs.load(Ordering::Relaxed);
    assert!(runs > 10, "{promise}: only {runs} orders");
    println!("{promise}: {runs} orders");
}
