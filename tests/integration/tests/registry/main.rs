//! The registry with random names, labels, bounds and samples.

mod buckets;
mod gather;
mod names;
mod versions_of_metrics;
