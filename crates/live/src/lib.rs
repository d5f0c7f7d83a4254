//! A live page for services that use `tower-prometheus`: the metrics of the process in a browser, one sample per second,
//! without Prometheus and Grafana.
//!
//! ```
//! use axum::{Router, routing::get};
//! use tower_prometheus::Registry;
//!
//! let metrics = Registry::new();
//! let app: Router = Router::new()
//!     .route("/users/{id}", get(async || "ada"))
//!     .nest_service("/live", tower_prometheus_live::page(&metrics)) // `/live` and `/live/` both work
//!     .layer(metrics.http_layer());
//! # let _ = app;
//! ```
//!
//! # What the page reveals
//!
//! Without a [token](LivePageBuilder::token), anyone who can load the page can read all metrics of the registry and its
//! collectors: names, HELP texts, labels and their values, and how they change. With a token, anyone can load the page, its
//! script and its style, which contain no data; requests for the data without the token get 401. The data is the same as on
//! the metrics page. It includes route templates, traffic, error rates and
//! versions. It does not include paths, query strings, headers or bodies, unless the application puts them into labels.
//!
//! The page is read-only: no request changes anything. Its protections:
//!
//! | threat | protection |
//! |---|---|
//! | another website reads the data from the visitor's browser | no CORS headers; requests with a foreign `Origin` get 403, and so do requests for the data whose `Sec-Fetch-Site` is `cross-site` or `same-site`, whatever hosts are allowed |
//! | another website points its own name at the service (DNS rebinding) | only IP addresses, `localhost`, `*.localhost` and [allowed hosts](LivePageBuilder::allow_host) are answered, others get 403 |
//! | another person on the network reads the data | a [token](LivePageBuilder::token), or a layer that authenticates requests |
//! | a label value contains HTML or a script | values are shown as text; the content security policy allows no inline script, and trusted types no HTML from strings |
//! | the page is put into a frame | `frame-ancestors 'none'` |
//! | many viewers, many series, viewers that do not read | [maximum of viewers](LivePageBuilder::max_viewers), [of series](LivePageBuilder::max_series); viewers that read nothing for 60 s are removed |
//!
//! The page sets no cookies and loads nothing from other hosts. A link on another website opens it: only its data is limited
//! to requests of the page itself.
//!
//! # With tonic
//!
//! tonic's server answers the page on the port of its services:
//!
#![cfg_attr(not(doctest), doc = include_str!("tonic.md"))]
//!
//! A [`GrpcMetricsLayer`](tower_prometheus::grpc::GrpcMetricsLayer) around the whole server does not measure the requests of a
//! browser, because it only measures requests whose `content-type` is `application/grpc…`. HTTP layers do not measure them
//! either: all responses of the page, also 401, 403, 404, 405 and 503, are marked
//! [`SkipMetrics`](tower_prometheus::http::SkipMetrics).
//!
//! # Shutdown
//!
//! An open page is a response that does not end. axum's `with_graceful_shutdown` waits for it: limit the time after the signal,
//! as for event streams.
//!
//! # Protocol
//!
//! The protocol between the page and the service may change with every release. `GET …/data` returns lines of JSON:
//!
//! | line | meaning |
//! |---|---|
//! | `{"hello":"…","time":time,"max_series":20000}` | the stream starts, or starts again with the last state because the viewer was late; the text identifies the process, `time` is its clock in Unix milliseconds |
//! | `{"layers":[{…},…]}` | new layers: which families are their requests, durations and requests in progress, and which labels are the endpoint, the method and the status |
//! | `{"families":[[id,name,kind,help,unit,bounds,native],…]}` | new families; `native`: whether a histogram has native buckets |
//! | `{"series":[[id,family,[label,value,…],created],…]}` | new series; `created` in Unix milliseconds, 0 if unknown |
//! | `{"values":[id,value,…]}` | changed values: a number; of a histogram, the sum and the count of each bucket; of a summary, count, sum and quantiles; of a histogram with native buckets, `{"schema":3,"sum":1.5,"zero":0,"positive":[index,count,…],"negative":[…]}`, and without `schema` only the buckets that changed |
//! | `{"tick":time,"hidden":0,"gone":[id,…]}` | the end of a sample: its time in Unix milliseconds, how many series are not sent, and those that no longer exist |

#![forbid(unsafe_code)]
#![warn(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable
)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod access;
mod assets;
mod body;
mod builder;
mod clock;
mod error;
mod feed;
mod history;
mod layers;
mod live;
mod live_page;
mod native;
mod numbers;
mod response;
mod sampler;
mod series;
mod settings;
mod tick;
mod viewers;

pub use self::{body::LiveBody, builder::LivePageBuilder, error::Error, live_page::LivePage};

/// Returns the live page of a registry, with default settings.
///
/// For a host name, a token or other limits, use [`LivePage::builder`].
pub fn page(registry: &tower_prometheus::Registry) -> LivePage {
    LivePage::builder(registry).page()
}

/// Runs the README's code blocks as doc tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
