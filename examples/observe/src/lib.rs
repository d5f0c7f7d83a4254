//! What `observe` and `previews` share: a shop, the clients that load it, a Prometheus that scrapes it, and a query proxy
//! in front of that.

pub mod console;
mod dice;
pub mod driver;
pub mod prometheus;
pub mod shop;

/// Any error of a part.
pub type Problem = Box<dyn std::error::Error + Send + Sync>;
pub type Result<T, E = Problem> = std::result::Result<T, E>;
