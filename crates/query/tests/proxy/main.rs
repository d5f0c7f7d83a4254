//! The query proxy in front of a fake upstream, and in front of Prometheus and VictoriaMetrics.

mod configuration;
mod endpoint_label;
mod endpoints;
mod fake_upstream;
mod limits;
mod real_upstreams;
mod secrets;
mod tenants;
#[cfg(feature = "tls")]
mod tls;
mod types;
