//! The registry: exact counts under concurrency, and a valid metrics page whatever is recorded.

mod buckets;
mod edges;
mod exact;
mod expiry;
mod gather;
mod handles;
mod known_bugs_of_other_crates;
mod names;
#[cfg(feature = "summary")]
mod summaries;
mod utf8_names;
