//! One request, from `call` to the end of its body.
//!
//! Reading order: [`layer`] builds, [`service`] opens an [`exchange`] at its [`place`] when called, [`future`] sees the
//! response, [`head`] reads it, [`body`] sees its end, [`outcome`] is what all of them report, once.

mod body;
mod exchange;
mod future;
mod head;
mod http_metrics;
mod layer;
mod long_lived;
mod nesting;
mod outcome;
mod place;
mod request_body;
mod service;
mod settings;

pub use self::{
    body::ResponseBody,
    future::ResponseFuture,
    http_metrics::{DurationTo, HttpMetrics, WithRequestBody},
    layer::HttpMetricsLayer,
    long_lived::{ConnectionGuard, LongLived},
    request_body::{RequestBody, RequestBodyMetricsLayer, RequestBodyMetricsService},
    service::HttpMetricsService,
};
pub(crate) use self::{
    exchange::Exchange,
    outcome::{AbortReason, Outcome},
    settings::{Part, Settings},
};
