//! Pushes the metrics of batch jobs to a Prometheus [Pushgateway].
//!
//! A batch job can end before Prometheus scrapes it. Instead, it pushes its metrics when it is done:
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use tower_prometheus::Registry;
//! use tower_prometheus_push::PushGateway;
//!
//! let registry = Registry::builder().install()?;
//! let gateway = PushGateway::new("http://localhost:9091", "nightly_backup")?.group("disk", "/dev/sda")?;
//! metrics::counter!("backup_bytes_total").increment(4096);
//! gateway.push(&registry).await?;
//! # Ok(())
//! # }
//! ```
//!
//! | topic | see |
//! |---|---|
//! | replace, extend or delete the metrics of a group | [`PushGateway::push`], [`push_add`], [`delete`] |
//! | grouping labels | [`PushGateway::group`] |
//! | retries, credentials, cancellation | [`PushGateway`] |
//! | causes of errors | [`PushError`] |
//! | Unix sockets, proxies, other TLS libraries | [`Connector`] |
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `tls` | no | `https://` URLs in [`PushGateway::new`] (rustls with ring), `Connector::with_ca_certificate` |
//!
//! [`push_add`]: PushGateway::push_add
//! [`delete`]: PushGateway::delete
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
mod labels;
mod page;
#[cfg(feature = "tls")]
mod tls;

pub use self::{
    connector::Connector,
    error::{Error, PushError},
    gateway::PushGateway,
};

/// Runs the README's code blocks as doc tests.
#[cfg(all(doctest, feature = "tls"))]
#[doc = include_str!("../README.md")]
struct Readme;
