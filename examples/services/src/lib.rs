//! Two small services, each with the metrics that services of its kind export.
//!
//! | service | shows |
//! |---|---|
//! | [`package_index`] | an HTTP layer with chosen labels: a request counter without labels beside one by status; two registries on two paths behind a bearer token; a collector that queries the database; a catalogue |
//! | [`sync_server`] | a layer that is built before the recorder is installed; the label `path`, the status on durations, the time to the response head; the macros of `metrics`; the metrics page on a separate port |
//!
//! ```text
//! cargo run --release -p services --bin package_index
//! cargo run --release -p services --bin sync_server
//! ```
//!
//! The tests in `tests` run both programs, send requests with curl, and compare the metrics pages with exact series.

pub mod package_index;
pub mod sync_server;
pub mod token;

use std::env;

use tokio::net::TcpListener;

/// Listens on the port in the environment variable `PORT`, or on `default`.
async fn listen(default: u16) -> std::io::Result<TcpListener> {
    let port = env::var("PORT").unwrap_or_else(|_| default.to_string());
    TcpListener::bind(format!("127.0.0.1:{port}")).await
}
