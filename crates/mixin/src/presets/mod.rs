//! Dashboards, rules and objectives for the metrics of tower-prometheus itself, and for any catalogue.

mod common;
mod families;
mod grpc;
mod http;
mod process;
