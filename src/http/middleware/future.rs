//! [`ResponseFuture`]: waits for the response head.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use crate::http::middleware::body::ResponseBody;
use crate::http::middleware::exchange::HttpExchange;
use crate::http::middleware::inside::Inside;
use crate::lifecycle::end::{End, Exchange};

pin_project! {
    /// The future of an [`HttpMetricsService`](crate::http::HttpMetricsService).
    ///
    /// If it is dropped before it completes, the request is counted with the status `cancelled`. If it returns
    /// an error, the status is `error`; if it panics, `panicked`, and the panic propagates.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are polled"]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        exchange: HttpExchange,
    }
}

impl<F> ResponseFuture<F> {
    #[inline]
    pub(super) fn new(inner: F, exchange: HttpExchange) -> Self {
        Self { inner, exchange }
    }
}

impl<F, ResBody, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<ResBody>, E>>,
    ResBody: Body,
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
        let response = result.inspect_err(|_| this.exchange.end(End::Failed))?;
        Poll::Ready(Ok(ResponseBody::wrap(response, this.exchange)))
    }
}
