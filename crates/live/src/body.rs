//! [`LiveBody`]: the response body of the page.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use http_body::{Body, Frame, SizeHint};

/// The response body of a [`LivePage`](crate::LivePage): a file, a message, or the stream of samples.
///
/// Dropping the stream of samples ends that viewer.
pub struct LiveBody {
    content: Content,
}

enum Content {
    /// Empty after the end of any body.
    Full(Bytes),
    /// The body for a HEAD request: empty, but without a known length, so that the server does not send
    /// `content-length: 0`.
    Head,
    Lines(Pin<Box<dyn Stream<Item = Bytes> + Send>>),
}

impl LiveBody {
    pub(crate) fn full(bytes: Bytes) -> Self {
        let content = Content::Full(bytes);
        Self { content }
    }

    pub(crate) fn head() -> Self {
        let content = Content::Head;
        Self { content }
    }

    pub(crate) fn lines(lines: impl Stream<Item = Bytes> + Send + 'static) -> Self {
        let content = Content::Lines(Box::pin(lines));
        Self { content }
    }
}

impl Body for LiveBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = match &mut self.content {
            Content::Lines(lines) => std::task::ready!(lines.as_mut().poll_next(cx)),
            Content::Full(bytes) => Some(std::mem::take(bytes)).filter(|bytes| !bytes.is_empty()),
            Content::Head => None,
        };
        if data.is_none() {
            self.content = Content::Full(Bytes::new());
        }
        Poll::Ready(data.map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Full(bytes) => bytes.is_empty(),
            Content::Head | Content::Lines(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Head | Content::Lines(_) => SizeHint::default(),
        }
    }
}

impl fmt::Debug for LiveBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveBody").finish_non_exhaustive()
    }
}
