//! [`GrpcResponseFuture`]: the future of the response head.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use crate::grpc::body::GrpcResponseBody;
use crate::grpc::call::GrpcCall;
use crate::lifecycle::end::{End, Exchange};
use crate::lifecycle::panic_guard::PanicGuard;

pin_project! {
    /// The future of a [`GrpcMetricsService`](super::GrpcMetricsService).
    ///
    /// If it is dropped before it is ready, the call is counted as `Canceled`, or as `DeadlineExceeded` if
    /// the client's `grpc-timeout` has expired. The [module documentation](super#how-calls-end) lists all cases.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are polled"]
    pub struct GrpcResponseFuture<F> {
        #[pin]
        inner: F,
        call: GrpcCall,
    }
}

impl<F> GrpcResponseFuture<F> {
    pub(crate) fn new(inner: F, call: GrpcCall) -> Self {
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
        let guard = PanicGuard::new(this.call);
        let polled = this.inner.poll(cx);
        guard.defuse();
        match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(response)) => {
                let mut call = this.call.take();
                call.read_head(&response);
                Poll::Ready(Ok(response.map(|body| GrpcResponseBody::new(body, call))))
            }
            Poll::Ready(Err(error)) => {
                this.call.end(End::Failed);
                Poll::Ready(Err(error))
            }
        }
    }
}
