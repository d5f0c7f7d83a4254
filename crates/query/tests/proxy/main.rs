//! The query proxy against a scripted upstream, and against Prometheus and VictoriaMetrics.

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
