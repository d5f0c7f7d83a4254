//! [`HttpMetricsService`]: starts an exchange for each request.

use std::fmt;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::http::middleware::body::ResponseBody;
use crate::http::middleware::classify::{ClassifyError, NoErrorKind};
use crate::http::middleware::exchange::HttpExchange;
use crate::http::middleware::future::ResponseFuture;
use crate::http::middleware::inside::Inside;
use crate::http::series::layer::LayerSeries;

/// The service of an [`HttpMetricsLayer`](crate::HttpMetricsLayer).
///
/// The inner service takes an [`http::Request`] and returns an [`http::Response`] with an
/// [`http_body::Body`]; it needs no `Send` or `Clone`, and its error can be of any type. The request is not
/// changed. `poll_ready` is forwarded; its errors, and the time until the service is ready, are not measured.
///
/// `K` tells errors apart: see [`HttpMetrics::with_error_kind`](crate::HttpMetrics::with_error_kind).
#[derive(Clone)]
pub struct HttpMetricsService<S, K = NoErrorKind> {
    inner: S,
    series: &'static LayerSeries,
    error_kind: K,
}

impl<S, K> HttpMetricsService<S, K> {
    pub(super) fn new(inner: S, series: &'static LayerSeries, error_kind: K) -> Self {
        Self {
            inner,
            series,
            error_kind,
        }
    }
}

impl<S, K, ReqBody, ResBody> Service<Request<ReqBody>> for HttpMetricsService<S, K>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: Body,
    K: ClassifyError<S::Error> + Clone,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, K>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let mut exchange = HttpExchange::start(self.series, &request);
        let inside = Inside::enter(&mut exchange);
        let future = self.inner.call(request);
        inside.leave();
        ResponseFuture::new(future, exchange, self.error_kind.clone())
    }
}

impl<S: fmt::Debug, K> fmt::Debug for HttpMetricsService<S, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpMetricsService")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
