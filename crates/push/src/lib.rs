//! Pushes the metrics of batch jobs to a Prometheus [Pushgateway].
//!
//! A job that ends before Prometheus could scrape it pushes its metrics when it is done:
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use tower_prometheus::Registry;
//! use tower_prometheus_push::PushGateway;
//!
//! let registry = Registry::builder().install()?;
//! let gateway = PushGateway::new("http://localhost:9091", "nightly_backup")?.group("disk", "/dev/sda")?;
//! // Run the job.
//! gateway.push(&registry).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `tls` | no | `https://` URLs in [`PushGateway::new`] (rustls with ring), `Connector::with_ca_certificate` |
//!
//! [Pushgateway]: https://github.com/prometheus/pushgateway

#![forbid(unsafe_code)]
#![warn(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable
)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod address;
mod connector;
mod credentials;
mod error;
mod gateway;
mod grouping;
mod page;
#[cfg(feature = "tls")]
mod tls;

pub use self::{
    connector::Connector,
    error::{Error, PushError},
    gateway::PushGateway,
};

/// Runs the README's code as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
