//! [`GrpcRequestBody`] and [`GrpcResponseBody`]: bodies that count messages. The response body detects the
//! end of the call.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::grpc::call::GrpcCall;
use crate::grpc::deferred::MessageRecorder;
use crate::grpc::frames::Frames;
use crate::lifecycle::body::{ObservedBody, Remaining};
use crate::lifecycle::end::{End, Exchange, ResponseExchange};

pin_project! {
    /// A request body that counts its gRPC messages.
    #[derive(Debug)]
    pub struct GrpcRequestBody<B> {
        #[pin]
        inner: B,
        frames: Frames,
        messages: MessageRecorder,
    }
}

impl<B> GrpcRequestBody<B> {
    pub(crate) fn new(inner: B, messages: MessageRecorder) -> Self {
        let frames = Frames::default();
        Self {
            inner,
            frames,
            messages,
        }
    }
}

impl<B: Body> Body for GrpcRequestBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let polled = ready!(this.inner.poll_frame(cx));
        if let Some(Ok(frame)) = &polled
            && let Some(data) = frame.data_ref()
        {
            this.frames.pass(data, |bytes| this.messages.record(bytes));
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

pin_project! {
    /// A response body that counts its gRPC messages and records how the call ends.
    ///
    /// gRPC sends the status code at the end, in the trailers. If the body is dropped before and the head has no
    /// code, the call is counted as `Canceled`, or as `DeadlineExceeded` if the client's `grpc-timeout` has
    /// expired. The [module documentation](super#how-calls-end) lists all cases.
    #[derive(Debug)]
    pub struct GrpcResponseBody<B> {
        #[pin]
        body: ObservedBody<B, BodyCall>,
    }
}

/// The call while its response body is sent or received.
#[derive(Debug)]
struct BodyCall {
    call: GrpcCall,
    frames: Frames,
}

impl<B> GrpcResponseBody<B> {
    pub(crate) fn new(inner: B, call: GrpcCall) -> Self {
        let frames = Frames::default();
        // Trailers follow the last byte, so the body does not end with its announced length.
        let body = ObservedBody::new(inner, BodyCall { call, frames }, Remaining::UNKNOWN);
        Self { body }
    }
}

impl Exchange for BodyCall {
    fn end(&mut self, end: End) {
        self.call.end(end);
    }
}

impl ResponseExchange for BodyCall {
    fn on_data(&mut self, data: &impl Buf, _: u64) {
        let Self { call, frames } = self;
        frames.pass(data, |bytes| call.record_message(bytes));
    }

    fn on_trailers(&mut self, trailers: &HeaderMap) {
        self.call.read_trailers(trailers);
    }
}

impl<B: Body> Body for GrpcResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.project().body.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
