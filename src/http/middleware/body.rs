//! [`ResponseBody`]: the response body of a measured service.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::http::middleware::exchange::HttpExchange;
use crate::http::middleware::head::BodyHints;
use crate::lifecycle::body::ObservedBody;

pin_project! {
    /// A response body that counts its bytes and records how the request ends.
    ///
    /// The body is complete as soon as one of these happens:
    ///
    /// - The inner body returns `None` or trailers.
    /// - `is_end_stream` returns `true`.
    /// - The length given by `size_hint` or `content-length` has passed, except of a long-lived connection.
    ///
    /// If a label is read [from the outcome](crate::http::HttpLabel::from_outcome), trailers may follow the last byte. A body
    /// whose length has passed is then complete when it returns `None` or trailers, or is dropped, even if `is_end_stream`
    /// returns `true` after the last byte. A body that is at its end when the head is read is complete at once.
    ///
    /// If no body for the client follows the head (HEAD, 204, 304, an upgrade without a guarded mark), the request ends at the
    /// head, and its body is never counted as aborted. If another body fails, panics or is dropped earlier, it is counted as
    /// aborted. If the client disconnects from a
    /// long-lived connection, its body is not counted as aborted. Bodies of responses that are not measured are passed through.
    #[derive(Debug)]
    pub struct ResponseBody<B> {
        #[pin]
        body: ObservedBody<B, HttpExchange>,
    }
}

impl<B: Body> ResponseBody<B> {
    /// Wraps the body of `response` and moves the exchange into it.
    ///
    /// The response is split before its head is read, because the compiler then does not copy the body.
    #[inline]
    pub(crate) fn wrap(response: Response<B>, exchange: &mut HttpExchange) -> Response<Self> {
        let (head, inner) = response.into_parts();
        let hints = BodyHints::of(&inner);
        let (status, extensions) = (head.status, &head.extensions);
        let remaining = exchange
            .try_read_status(status, extensions, hints)
            .unwrap_or_else(|| exchange.read_head(status, &head.headers, extensions, hints));
        let body = ObservedBody::new(inner, exchange.take(), remaining);
        Response::from_parts(head, Self { body })
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
        self.project().body.poll_frame(cx)
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    #[inline]
    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
