//! Guides. Their code is run as tests.
//!
//! | guide | answers |
//! |---|---|
//! | [`layer_order`] | where the metrics layer goes among timeouts, compression, limits and panic handlers |
//! | [`cardinality`] | how many series there are, what limits them, and what to do about too many |
//! | [`promql`] | queries for requests, errors, durations and scrapes |
//! | [`migration`] | coming from axum-prometheus, metrics-exporter-prometheus, `prometheus` or OpenTelemetry |

#[doc = include_str!("../docs/guide/cardinality.md")]
pub mod cardinality {}

// Its code needs tower-http: `tests/integration` runs it.
#[cfg_attr(not(doctest), doc = include_str!("../docs/guide/layer_order.md"))]
pub mod layer_order {}

#[doc = include_str!("../docs/guide/migration.md")]
pub mod migration {}

#[doc = include_str!("../docs/guide/promql.md")]
pub mod promql {}
