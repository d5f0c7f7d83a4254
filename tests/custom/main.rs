//! Custom metrics: catalogues on any recorder, operations and summaries.

mod catalogue;
mod expiry;
mod operations;
mod services;
mod state_sets;
#[cfg(feature = "summary")]
mod summary;
