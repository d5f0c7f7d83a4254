//! The page that Prometheus scrapes: [`MetricsHandler`] serves it, and a layer does not measure that.

#[cfg(feature = "collect")]
pub mod collect;
#[cfg(not(feature = "collect"))]
#[path = "no_collect.rs"]
mod collect;
mod handler;
mod page;
mod run;
#[cfg(feature = "server")]
mod server;
mod source;

#[cfg(feature = "server")]
pub use self::server::MetricsServer;
pub use self::{
    handler::{MetricsHandler, Scrape, ScrapeFuture},
    page::Page,
    source::Source,
};
