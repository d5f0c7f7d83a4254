//! Collectors for the gauges of the engine and of the memory.

use std::sync::Arc;

use stats_alloc::INSTRUMENTED_SYSTEM;
use tower_prometheus::collect::Samples;
use tower_prometheus::collectors::ProcessMemory;
use tower_prometheus::{Error, Registry};

use super::engine::Engine;
use super::metrics::{
    AGENT_PHEROMONE_SCORE, AGENTS_ACTIVE, DB_POOL_AVAILABLE, DB_POOL_SIZE,
    LLM_CIRCUIT_BREAKER_STATE, MEMORY_GC_OBJECTS, MEMORY_RSS_BYTES, SESSIONS_ACTIVE,
};

/// Registers the collectors `engine` and `memory`.
pub fn register(registry: &Registry, engine: Arc<Engine>) -> Result<(), Error> {
    let memory = |samples: &mut Samples| {
        let resident = ProcessMemory::now()?.resident;
        MEMORY_RSS_BYTES.of(samples).value(resident);
        // `src/bin/aria.rs` makes this the global allocator.
        let stats = INSTRUMENTED_SYSTEM.stats();
        let live = stats.allocations.saturating_sub(stats.deallocations);
        MEMORY_GC_OBJECTS.of(samples).value(live);
        Ok(())
    };
    let engine = move |samples: &mut Samples| {
        state(&engine, samples);
        Ok(())
    };
    registry.collector("engine", engine)?;
    registry.collector("memory", memory)?;
    Ok(())
}

fn state(engine: &Engine, samples: &mut Samples) {
    let mut breakers = LLM_CIRCUIT_BREAKER_STATE.of(samples);
    for model in &engine.models {
        let state = model.breaker.state() as u32;
        breakers.sample(&[("model", model.name)], state);
    }
    let mut pheromones = AGENT_PHEROMONE_SCORE.of(samples);
    for (agent, score) in engine.router.scores() {
        pheromones.sample(&[("agent_id", agent)], score);
    }
    AGENTS_ACTIVE.of(samples).value(engine.router.active());
    SESSIONS_ACTIVE.of(samples).value(engine.sessions.active());
    DB_POOL_SIZE.of(samples).value(engine.database.pool_size());
    DB_POOL_AVAILABLE
        .of(samples)
        .value(engine.database.pool_available());
}
