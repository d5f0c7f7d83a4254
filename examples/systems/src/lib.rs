//! Five example backends with metrics by `tower_prometheus`, one module each.
//!
//! | module | system |
//! |---|---|
//! | [`openclaw`] | task orchestration: leases, nodes that crash, a result store behind a network partition |
//! | [`asdlc`] | an orchestrator and workers with a Redis queue between them, and a query proxy |
//! | [`aria`] | an LLM agent engine with a separate port for metrics |
//! | [`zerostate`] | an agent economy with a gRPC API and an HTTP API |
//! | [`agentos`] | a gateway between agents, with a cache and rate limits |
//!
//! The binaries in `src/bin` start them. In every module, `metrics` is the catalogue, and `mixin`
//! builds the dashboard, the rules and the scrape configuration in `generated/`.

pub mod agentos;
pub mod aria;
pub mod asdlc;
pub mod openclaw;
pub mod zerostate;
