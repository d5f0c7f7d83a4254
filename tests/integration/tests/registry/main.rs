//! The registry with random names, labels, bounds and samples, and behind recorders of other crates.

mod behind_layers;
mod buckets;
mod gather;
mod names;
mod versions_of_metrics;
