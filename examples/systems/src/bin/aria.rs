//! Starts [`systems::aria`], with an allocator that counts allocations.

use std::alloc::System;
use std::error::Error;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

/// `aria_memory_gc_objects` is computed from its statistics.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    systems::aria::run().await
}
