//! Metrics for HTTP servers and clients.
//!
//! [`HttpMetrics`](crate::HttpMetrics) configures a layer and builds an
//! [`HttpMetricsLayer`](crate::HttpMetricsLayer). This module has the types that both use: names, custom
//! labels, extensions of requests and responses, and the services, futures and bodies of the layers.
//!
//! | to | use |
//! |---|---|
//! | turn a metric on or off, or rename it | [`HttpMetric`], [`Naming`] |
//! | add a custom label | [`HttpLabel`], whose functions get a [`RequestHead`], a [`ResponseHead`] or a [`RequestOutcome`] |
//! | leave a label out | [`StandardLabel`] |
//! | tell errors of the inner service apart | [`HttpMetrics::with_error_kind`](crate::HttpMetrics::with_error_kind), [`ErrorKind`] |
//! | name an endpoint for one request or response | [`Endpoint`], which lists [all sources of the endpoint](Endpoint#how-the-endpoint-is-determined) |
//! | name a service without routes | [`HttpMetrics::route_patterns`](crate::HttpMetrics::route_patterns), [`EndpointLayer::named`] |
//! | pass the matched route to a layer outside the router | [`EndpointLayer`] |
//! | keep listed values of a path parameter in the endpoint | [`HttpMetrics::keep_parameter`](crate::HttpMetrics::keep_parameter) |
//! | end durations at the response head | [`MeasureUntil`] |
//! | exclude a response from all metrics | [`SkipMetrics`] |
//! | mark a long-lived connection; a WebSocket or a tunnel | [`LongLived`]; [`LongLived::guarded`] |
//! | measure an event stream in response to GET to its last byte | [`FiniteStream`] |
//! | measure request bodies | [`HttpMetrics::with_request_body`](crate::HttpMetrics::with_request_body), [`RequestBodyMetricsLayer`] |
//! | add exemplars | [`TraceId`] |
//!
//! The metrics, their labels and all ways a request can end are listed on the [front page](crate#http-metrics).

pub(crate) mod config;
pub(crate) mod endpoint_layer;
pub(crate) mod labels;
pub(crate) mod middleware;
pub(crate) mod series;

pub use self::{
    config::{
        http_label::HttpLabel,
        http_metric::HttpMetric,
        http_metrics::{WithErrorKind, WithRequestBody},
        naming::Naming,
        settings::MeasureUntil,
        standard_label::StandardLabel,
    },
    endpoint_layer::{EndpointFuture, EndpointLayer, EndpointService},
    labels::{
        endpoint::Endpoint,
        error_kind::ErrorKind,
        head::{RequestHead, ResponseHead},
        outcome::RequestOutcome,
        skip_metrics::SkipMetrics,
    },
    middleware::{
        body::ResponseBody,
        classify::{ClassifyError, ErrorKindFn, NoErrorKind},
        future::ResponseFuture,
        long_lived::{ConnectionGuard, FiniteStream, LongLived},
        request_body::{RequestBody, RequestBodyMetricsLayer, RequestBodyMetricsService},
        service::HttpMetricsService,
    },
};
pub use crate::model::trace::TraceId;
