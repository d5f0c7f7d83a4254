//! Other crates to compare with: layers that measure requests, and libraries that render pages.

pub mod layers;
mod otel;
pub mod pages;
pub mod samples;
pub mod subject;
#[path = "../../support/timing.rs"]
pub mod timing;
#[path = "../../support/wrk.rs"]
pub mod wrk;
