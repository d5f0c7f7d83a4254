//! [`ResponseBody`]: sees the end of a response.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::http::labels::abort_reason::AbortReason;
use crate::http::middleware::exchange::Exchange;
use crate::http::middleware::head::{BodyHints, BodyPlan, Remaining};
use crate::http::middleware::long_lived::OpenConnection;
use crate::lifecycle::panic_guard::PanicGuard;

pin_project! {
    /// A response's body on its way out: the inner one, and an eye on where it ends.
    ///
    /// A server stops polling a body in more ways than one: it asks for a frame and gets none, it
    /// sees `is_end_stream`, it has sent as many bytes as `content-length` says, or it sends trailers
    /// after which nothing can come. Each of these is the body's end; a drop before that is not.
    #[derive(Debug)]
    pub struct ResponseBody<B> {
        #[pin]
        inner: B,
        exchange: Exchange,
        remaining: Remaining,
        connection: Option<OpenConnection>,
    }
}

impl<B: Body> ResponseBody<B> {
    /// Takes over the exchange at the head of its response.
    ///
    /// Head and body are apart while the head is looked at, so that a compiler may leave the body where it is.
    #[inline]
    pub(super) fn wrap(response: Response<B>, exchange: &mut Exchange) -> Response<Self> {
        let (head, inner) = response.into_parts();
        let hints = BodyHints::of(&inner);
        let (status, extensions) = (head.status, &head.extensions);
        let rest = exchange
            .read_status(status, extensions, hints)
            .unwrap_or_else(|| exchange.read_head(status, &head.headers, extensions, hints));
        let BodyPlan {
            remaining,
            connection,
        } = rest;
        let body = Self {
            inner,
            exchange: exchange.take(),
            remaining,
            connection,
        };
        Response::from_parts(head, body)
    }
}

impl<B: Body> Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        use bytes::Buf;
        let mut this = self.project();
        let guard = PanicGuard::new(this.exchange);
        let polled = this.inner.as_mut().poll_frame(cx);
        guard.defuse();
        let Poll::Ready(frame) = &polled else {
            return polled;
        };
        let end = match frame {
            None => End::Complete,
            Some(Err(_)) => End::Failed,
            Some(Ok(frame)) => {
                let sent = frame.data_ref().map_or(0, Buf::remaining) as u64;
                this.exchange.send(sent);
                this.remaining.pass(sent);
                if frame.is_trailers() || this.remaining.is_nothing() || this.inner.is_end_stream()
                {
                    End::Complete
                } else {
                    End::NotYet
                }
            }
        };
        if end != End::NotYet {
            let aborted = (end == End::Failed).then_some(AbortReason::Error);
            this.exchange.end_body(aborted);
            *this.connection = None;
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

#[derive(PartialEq)]
enum End {
    NotYet,
    Complete,
    Failed,
}
