//! The metrics endpoint: [`MetricsHandler`](crate::MetricsHandler) and, with the feature `server`, an HTTP
//! server for it.
//!
//! Layers do not measure scrapes.

#[cfg(feature = "axum")]
mod axum_handler;
pub(crate) mod body;
pub(crate) mod handler;
pub(crate) mod run;
#[cfg(feature = "server")]
pub(crate) mod server;
pub(crate) mod source;

#[cfg(feature = "server")]
#[cfg_attr(docsrs, doc(cfg(feature = "server")))]
pub use self::server::MetricsServer;
pub use self::{
    body::MetricsBody,
    handler::ScrapeFuture,
    source::{PageSource, Render},
};
