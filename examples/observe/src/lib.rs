//! Metrics as JSON lines, and the common parts of `observe` and `previews`: a demo shop, clients that generate load, a
//! Prometheus that scrapes the shop, and a query proxy in front of Prometheus.

pub mod driver;
pub mod json_lines;
pub mod prometheus;
pub mod query_client;
mod rng;
pub mod shop;

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub type Result<T, E = BoxError> = std::result::Result<T, E>;
