//! [`GrpcRequestBody`] and [`GrpcResponseBody`]: count messages as they pass; the latter sees the end.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::grpc::call::{CallEnd, GrpcCall, MessageCounter};
use crate::grpc::code::Code;
use crate::grpc::frames::Frames;
use crate::lifecycle::panic_guard::PanicGuard;

pin_project! {
    /// A request's body on its way in: the inner one, and a count of its messages.
    #[derive(Debug)]
    pub struct GrpcRequestBody<B> {
        #[pin]
        inner: B,
        frames: Frames,
        messages: MessageCounter,
    }
}

impl<B> GrpcRequestBody<B> {
    pub(crate) fn new(inner: B, messages: MessageCounter) -> Self {
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
            let messages = this.frames.pass(data);
            if messages > 0 {
                this.messages.count(messages);
            }
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
    /// A response's body on its way out: the inner one, a count of its messages, and an eye on where
    /// it ends, which is where gRPC says how the call went.
    #[derive(Debug)]
    pub struct GrpcResponseBody<B> {
        #[pin]
        inner: B,
        frames: Frames,
        call: GrpcCall,
    }
}

impl<B> GrpcResponseBody<B> {
    pub(crate) fn new(inner: B, call: GrpcCall) -> Self {
        let frames = Frames::default();
        Self {
            inner,
            frames,
            call,
        }
    }
}

impl<B: Body> Body for GrpcResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut this = self.project();
        let guard = PanicGuard::new(this.call);
        let polled = this.inner.as_mut().poll_frame(cx);
        guard.defuse();
        let Poll::Ready(frame) = &polled else {
            return polled;
        };
        match frame {
            None => this.call.close(CallEnd::Complete(None)),
            Some(Err(_)) => this.call.close(CallEnd::Failed),
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    let messages = this.frames.pass(data);
                    if messages > 0 {
                        this.call.count_messages(messages);
                    }
                }
                let trailers = frame.trailers_ref();
                if trailers.is_some() || this.inner.is_end_stream() {
                    let code = trailers.and_then(Code::of_headers);
                    this.call.close(CallEnd::Complete(code));
                }
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
