//! What tower-prometheus is compared with: layers that measure requests, and libraries that write pages.

pub mod layers;
mod otel;
pub mod pages;
#[path = "../../support/timing.rs"]
pub mod timing;
#[path = "../../support/wrk.rs"]
pub mod wrk;
