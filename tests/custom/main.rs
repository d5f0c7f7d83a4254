//! Custom metrics: catalogues on any recorder, operations and summaries.

mod catalogue;
mod operations;
mod services;
mod state_sets;
#[cfg(feature = "summary")]
mod summary;
