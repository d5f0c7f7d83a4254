//! Models of the lock-free code. loom checks them in every interleaving that threads and the memory model allow.
//!
//! The source files are those of the crate. This is a binary, because the unit tests in these files use the
//! primitives of std.

#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "the crate uses more of these files than the models"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[path = "../../../src/sync.rs"]
mod sync;

#[path = "../../../src/error.rs"]
mod error;

#[path = "../../../src/model/native.rs"]
mod native_model;

mod model {
    pub(crate) use crate::native_model as native;
}

mod registry {
    #[path = "../../../../src/registry/cells.rs"]
    mod cells;
    #[path = "../../../../src/registry/cell_reading.rs"]
    mod cell_reading;
    #[path = "../../../../src/registry/native.rs"]
    mod native;
    #[path = "../../../../src/registry/expiry/pages.rs"]
    mod pages;
    #[path = "../../../../src/registry/thread_slot.rs"]
    mod thread_slot;

    pub(crate) mod expiry_models;
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

pub(crate) type Task = Box<dyn FnOnce()>;

/// Runs each closure on its own thread. Nothing under test runs on the first thread of the model, because loom
/// does not order its reads after the writes of other threads.
pub(crate) fn run_threads(tasks: Vec<Task>) {
    let threads: Vec<_> = tasks.into_iter().map(loom::thread::spawn).collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

fn main() {
    let registry = registry::models::ALL.iter().chain(registry::expiry_models::ALL);
    let models = registry.chain(maps::models::ALL);
    for (promise, model) in models {
        explore(promise, *model);
    }
}

fn explore(promise: &str, model: fn()) {
    let runs = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&runs);
    let mut explorer = loom::model::Builder::new();
    // Each further preemption multiplies the number of interleavings; bugs show after one or two.
    explorer.preemption_bound = Some(2);
    explorer.check(move || {
        count.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let runs = runs.load(Ordering::Relaxed);
    assert!(runs > 10, "{promise}: only {runs} interleavings");
    println!("{promise}: {runs} interleavings");
}
