//! Custom metrics: catalogues on any recorder, operations and summaries.

mod catalogue;
mod operations;
#[cfg(feature = "summary")]
mod summary;
