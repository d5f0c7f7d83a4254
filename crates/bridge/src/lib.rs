//! Exports the metrics of the crates `prometheus` and `prometheus-client` on the metrics page of
//! [`tower-prometheus`](tower_prometheus).
//!
//! An application that already has metrics of these crates keeps them: a bridge is a
//! [collector](tower_prometheus::collect) that reads the other registry at each scrape. So there is one page, and the
//! application can move metric by metric, or not at all.
//!
#![cfg_attr(feature = "prometheus", doc = "```")]
#![cfg_attr(not(feature = "prometheus"), doc = "```ignore")]
//! use tower_prometheus::Registry;
//! use tower_prometheus_bridge::from_prometheus;
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
//! # runtime.block_on(async {
//! let orders = prometheus::register_int_counter!("orders_total", "Total number of orders.")?;
//! orders.inc();
//!
//! let metrics = Registry::new();
//! metrics.collector("legacy", from_prometheus(prometheus::default_registry()))?;
//! // `metrics.handler()` serves `orders_total`, too.
//! # let snapshot = metrics.gather().await;
//! # assert_eq!(snapshot.family("orders_total").unwrap().help().as_deref(), Some("Total number of orders."));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The [migration guide](tower_prometheus::_guide::migration) shows how a service moves in steps.
//!
//! # What is exported
//!
//! | | `prometheus` | `prometheus-client` |
//! |---|---|---|
//! | names of samples | unchanged, also counters without `_total` | unchanged: with `_total` and `_info` as in its own text |
//! | types, HELP texts, labels, values | unchanged | unchanged |
//! | units | not supported by the crate | unchanged, except those of [`Unit`](tower_prometheus::Unit) other than seconds, bytes and percent, such as milliseconds: not exported |
//! | constant labels and prefix of the other registry | included | included |
//! | timestamps of custom collectors | not exported | not supported by the crate |
//! | exemplars | not supported by the crate | not exported |
//!
//! The constant labels of the `tower_prometheus` registry are added to every series.
//!
//! # Conflicts and errors
//!
//! A bridge is one collector. If it fails, none of its metrics are exported, its `scrape_collector_success` is 0, and
//! a warning names the metric and the reason. It fails if:
//!
//! - a metric is also registered elsewhere, and its type or HELP text differs, or a series is there twice
//! - a metric is invalid, see [`Samples`](tower_prometheus::collect::Samples): for example a negative counter of a
//!   custom collector
//! - a metric has no type: `UNTYPED` of `prometheus`, `Unknown` of `prometheus-client`
//! - a metric of `prometheus-client` is registered twice, and type, HELP text or unit differ
//!
//! # Blocking
//!
//! A bridge calls the collectors of the other registry on the thread that serves the metrics page. If one of them
//! blocks, wrap the bridge in [`Blocking`](tower_prometheus::collect::Blocking):
//! `Blocking::new(from_prometheus(registry))`.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `prometheus` | no | `from_prometheus` |
//! | `prometheus-client` | no | `from_prometheus_client`, `collect_prometheus_client` |

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

#[cfg(feature = "prometheus-client")]
mod client_samples;
#[cfg(feature = "prometheus-client")]
mod client_text;
#[cfg(feature = "prometheus")]
mod from_prometheus;
#[cfg(feature = "prometheus-client")]
mod from_prometheus_client;

#[cfg(feature = "prometheus")]
#[cfg_attr(docsrs, doc(cfg(feature = "prometheus")))]
pub use self::from_prometheus::from_prometheus;
#[cfg(feature = "prometheus-client")]
#[cfg_attr(docsrs, doc(cfg(feature = "prometheus-client")))]
pub use self::from_prometheus_client::{collect_prometheus_client, from_prometheus_client};

/// Runs the README's code blocks as doc tests.
#[cfg(all(doctest, feature = "prometheus", feature = "prometheus-client"))]
#[doc = include_str!("../README.md")]
struct Readme;
