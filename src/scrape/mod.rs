//! The page that Prometheus scrapes: [`MetricsHandler`] serves it, and a layer does not measure that.

mod handler;
mod page;
mod run;
mod source;

pub use self::{
    handler::{MetricsHandler, Scrape, ScrapeFuture},
    page::Page,
    source::Source,
};
