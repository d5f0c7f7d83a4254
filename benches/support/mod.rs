//! What the benches share: timing in turns, a service that does as little as a service can, the floor, and
//! subjects to scrape.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    reason = "every bench uses a part of it"
)]

#[cfg(feature = "exporter")]
pub mod exporter;
pub mod floor;
pub mod page;
pub mod series;
pub mod service;
pub mod timing;
pub mod wrk;
