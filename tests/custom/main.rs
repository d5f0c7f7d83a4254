//! Custom metrics: catalogues on any recorder, operations and summaries.

mod catalogue;
mod operations;
mod services;
#[cfg(feature = "summary")]
mod summary;
