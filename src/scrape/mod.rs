//! The metrics endpoint: the types behind [`MetricsHandler`](crate::MetricsHandler), and an HTTP server for it.
//!
//! | to | use |
//! |---|---|
//! | serve the metrics of a registry on a route | [`Registry::handler`](crate::Registry::handler) |
//! | serve them on a separate port or a Unix socket | `MetricsServer` (feature `server`) |
//! | serve a page that other code renders, such as another exporter | [`PageSource`], [`Render`] |
//! | render the page to a string, without collectors | [`Registry::render`](crate::Registry::render) |
//!
//! A scrape is a `GET` or `HEAD` request for the metrics page. Layers do not measure scrapes. They do measure
//! requests with other methods, which get a 405 response.

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
