//! Series by the values of open labels.
//!
//! A combination of values is a [`Row`](rows::Row). Each label has a limit of different values, and further ones are
//! replaced by `overflow`. When the last series of a row has expired, the row is forgotten, and its values no longer count.
//!
//! Each thread keeps the rows that it used in a [`RowCache`](cache::RowCache), so that known values are found without a
//! lock and without writing to memory that other threads use. A row stays in memory until all threads have dropped it.
//! That is only a matter of memory: a thread that records into a forgotten row adds to cells that the registry still
//! reads, and the series returns.

pub(crate) mod cache;
pub(crate) mod rows;
