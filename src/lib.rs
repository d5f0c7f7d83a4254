#![doc = "A Tower layer that measures any HTTP service, and the page that Prometheus scrapes."]
#![forbid(unsafe_code)]
#![warn(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable
)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod budget;
mod clock;
mod error;
mod exposition;
mod labels;
mod middleware;
pub mod registry;
mod scrape;
mod series;
mod target;

pub use self::{
    error::Error,
    labels::{Endpoint, EndpointFuture, EndpointLayer, EndpointService, Naming},
    middleware::{
        ConnectionGuard, DurationTo, HttpMetrics, HttpMetricsLayer, HttpMetricsService, LongLived,
        ResponseBody, ResponseFuture,
    },
    registry::{Registry, RegistryBuilder},
    scrape::{MetricsHandler, Page, Scrape, ScrapeFuture, Source},
    target::Target,
};
