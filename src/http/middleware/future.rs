//! [`ResponseFuture`]: waits for the response head.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use crate::http::middleware::body::ResponseBody;
use crate::http::middleware::classify::{ClassifyError, NoErrorKind};
use crate::http::middleware::exchange::HttpExchange;
use crate::http::middleware::inside::Inside;

pin_project! {
    /// The future of an [`HttpMetricsService`](crate::http::HttpMetricsService).
    ///
    /// If it is dropped before it completes, the request is counted with the status `cancelled`. If the inner service
    /// returns an error, the status is `error`; if it panics, `panicked`, and the panic propagates.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are polled"]
    pub struct ResponseFuture<F, K = NoErrorKind> {
        #[pin]
        inner: F,
        exchange: HttpExchange,
        error_kind: K,
    }
}

impl<F, K> ResponseFuture<F, K> {
    #[inline]
    pub(super) fn new(inner: F, exchange: HttpExchange, error_kind: K) -> Self {
        Self {
            inner,
            exchange,
            error_kind,
        }
    }
}

impl<F, K, ResBody, E> Future for ResponseFuture<F, K>
where
    F: Future<Output = Result<Response<ResBody>, E>>,
    ResBody: Body,
    K: ClassifyError<E>,
{
    type Output = Result<Response<ResponseBody<ResBody>>, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let inside = Inside::enter(this.exchange);
        let polled = this.inner.poll(cx);
        inside.leave();
        let Poll::Ready(result) = polled else {
            this.exchange.register_deferred();
            return Poll::Pending;
        };
        let response =
            result.inspect_err(|error| this.exchange.fail(this.error_kind.kind(error)))?;
        Poll::Ready(Ok(ResponseBody::wrap(response, this.exchange)))
    }
}
