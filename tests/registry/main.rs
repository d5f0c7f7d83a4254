//! The registry: exact under any load, and a page that Prometheus can read whatever was recorded.

mod buckets;
mod edges;
mod exact;
mod handles;
mod mistakes_of_others;
mod names;
