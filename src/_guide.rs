//! Guides, one per module.
//!
//! | guide | answers |
//! |---|---|
//! | [`layer_order`] | where does the metrics layer go among timeouts, compression, limits, error handlers and nested routers? |
//! | [`cardinality`] | how many series are there, what limits them, and what to do about too many? |
//! | [`promql`] | which queries return requests, errors, durations and failed scrapes? |
//! | [`securing`] | how to protect the metrics page with a separate port, a token, basic authentication or TLS? |
//! | [`shutdown`] | how are the last requests scraped, and how do batch jobs push? |
//! | [`kubernetes`] | how do ports, probes, annotations and monitors work together? |
//! | [`dashboards`] | how do dashboards get into Grafana, and rules into Prometheus? |
//! | [`recipes`] | how to measure connection pools (sqlx, deadpool, bb8), queues and the limits of containers, with alerts? |
//! | [`migration`] | what changes when coming from axum-prometheus, metrics-exporter-prometheus, `prometheus`, `prometheus-client` or OpenTelemetry? |
//! | [`testing`] | how to assert metrics in tests, also of async handlers and in parallel? |
//! | [`troubleshooting`] | why is a metric missing, wrong or surprising? |
//!
//! The code of all guides is compiled and run as tests.

// The guides link to each other by file name, for readers of the repository. The definitions here come first
// and so take precedence in the documentation.

#[doc = include_str!("../docs/guide/cardinality.md")]
pub mod cardinality {}

// The examples need other crates: `tests/guides` compiles and runs them.
#[doc = "[kubernetes]: crate::_guide::kubernetes"]
#[doc = "[securing]: crate::_guide::securing"]
#[doc = "[troubleshooting]: crate::_guide::troubleshooting"]
#[doc = ""]
#[cfg_attr(not(doctest), doc = include_str!("../docs/guide/dashboards.md"))]
pub mod dashboards {}

// The examples need features and other crates: a package in `tests` compiles and runs them.
#[doc = "[cardinality]: crate::_guide::cardinality"]
#[doc = "[dashboards]: crate::_guide::dashboards"]
#[doc = "[securing]: crate::_guide::securing"]
#[doc = "[shutdown]: crate::_guide::shutdown"]
#[doc = ""]
#[cfg_attr(not(doctest), doc = include_str!("../docs/guide/kubernetes.md"))]
pub mod kubernetes {}

// The examples need tower-http: `tests/integration` compiles and runs them.
#[cfg_attr(not(doctest), doc = include_str!("../docs/guide/layer_order.md"))]
pub mod layer_order {}

// The examples need features and other crates: `tests/integration` compiles and runs them.
#[cfg_attr(not(doctest), doc = include_str!("../docs/guide/migration.md"))]
pub mod migration {}

#[doc = "[layer order]: crate::_guide::layer_order"]
#[doc = "[cardinality]: crate::_guide::cardinality"]
#[doc = ""]
#[doc = include_str!("../docs/guide/promql.md")]
pub mod promql {}

// Each block is a module of `docs/guide/recipes`, which `tests/guides` compiles and runs.
#[doc = "[dashboards]: crate::_guide::dashboards"]
#[doc = "[troubleshooting]: crate::_guide::troubleshooting"]
#[doc = ""]
#[cfg_attr(not(doctest), doc = include_str!("../docs/guide/recipes.md"))]
pub mod recipes {}

// The examples need features and other crates: a package in `tests` compiles and runs them.
#[doc = "[Kubernetes]: crate::_guide::kubernetes#token-and-tls"]
#[doc = "[`NetworkPolicy`]: crate::_guide::kubernetes#networkpolicy"]
#[doc = "[shutdown]: crate::_guide::shutdown"]
#[doc = ""]
#[cfg_attr(not(doctest), doc = include_str!("../docs/guide/securing.md"))]
pub mod securing {}

// The examples need features and other crates: a package in `tests` compiles and runs them.
#[doc = "[Kubernetes]: crate::_guide::kubernetes"]
#[doc = "[layer order]: crate::_guide::layer_order#layers-of-a-tonic-server"]
#[doc = "[migration]: crate::_guide::migration#push-gateway"]
#[doc = "[securing]: crate::_guide::securing"]
#[doc = "[troubleshooting]: crate::_guide::troubleshooting"]
#[doc = ""]
#[cfg_attr(not(doctest), doc = include_str!("../docs/guide/shutdown.md"))]
pub mod shutdown {}

// The examples need the route of axum's router.
#[cfg_attr(any(not(doctest), feature = "axum"), doc = include_str!("../docs/guide/testing.md"))]
pub mod testing {}

#[doc = include_str!("../docs/guide/troubleshooting.md")]
pub mod troubleshooting {}
