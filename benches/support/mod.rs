//! Shared by the benchmarks: timing, a minimal service, the hand-written floor, and registries to scrape.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    reason = "each benchmark uses only a part"
)]

#[cfg(feature = "exporter")]
pub mod exporter;
pub mod floor;
pub mod page;
pub mod series;
pub mod service;
pub mod timing;
pub mod wrk;
