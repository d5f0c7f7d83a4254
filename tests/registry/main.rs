//! The registry: exact under any load, and a page that Prometheus can read whatever was recorded.

mod buckets;
mod edges;
mod exact;
mod gather;
mod handles;
mod known_bugs_of_other_crates;
mod names;
