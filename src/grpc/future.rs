//! [`GrpcResponseFuture`]: waits for the head of the response.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use super::GrpcResponseBody;
use super::call::{Call, End};
use crate::watch::Watch;

pin_project! {
    /// The future of a [`GrpcMetricsService`](super::GrpcMetricsService).
    ///
    /// Dropping it before it is done counts the call as `Canceled`, or as `DeadlineExceeded` if the
    /// time that the client allowed is up.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are polled"]
    pub struct GrpcResponseFuture<F> {
        #[pin]
        inner: F,
        call: Call,
    }
}

impl<F> GrpcResponseFuture<F> {
    pub(super) fn new(inner: F, call: Call) -> Self {
        Self { inner, call }
    }
}

impl<F, ResBody, E> Future for GrpcResponseFuture<F>
where
    F: Future<Output = Result<Response<ResBody>, E>>,
    ResBody: Body,
{
    type Output = Result<Response<GrpcResponseBody<ResBody>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let watch = Watch::over(this.call);
        let polled = this.inner.poll(cx);
        watch.returned();
        match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(response)) => {
                let mut call = this.call.take();
                call.answer(&response);
                Poll::Ready(Ok(response.map(|body| GrpcResponseBody::new(body, call))))
            }
            Poll::Ready(Err(error)) => {
                this.call.close(End::Failed);
                Poll::Ready(Err(error))
            }
        }
    }
}
