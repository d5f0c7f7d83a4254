//! [`QueryBody`]: the upstream's answer as it comes, within its limits.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Sleep;

use super::slot::Slot;

/// The body of a [`QueryProxy`](super::QueryProxy)'s response.
///
/// An answer of the upstream is passed on as it arrives, nothing is collected. It fails, and the client sees a
/// truncated answer rather than a wrong one, when the upstream breaks off, when more bytes come than
/// [`max_response_bytes`](super::QueryProxyBuilder::max_response_bytes) allows, and when the time of the whole
/// request is over. Dropping it cancels the query.
pub struct QueryBody(Content);

enum Content {
    Whole(Bytes),
    Streamed(Box<Streamed>),
    Ended,
}

/// What is left of an answer.
pub(super) struct Streamed {
    incoming: Incoming,
    left: u64,
    deadline: Pin<Box<Sleep>>,
    _slot: Option<Slot>,
}

impl Streamed {
    /// An answer of at most so many bytes, until then; the slot is held to its end.
    pub(super) fn new(incoming: Incoming, most: u64, deadline: Sleep, slot: Option<Slot>) -> Self {
        Self {
            incoming,
            left: most,
            deadline: Box::pin(deadline),
            _slot: slot,
        }
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenOff>>> {
        // Asked first: an upstream that drips must not outlive its time.
        if self.deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(BrokenOff::TimeOver)));
        }
        loop {
            let frame = match Pin::new(&mut self.incoming).poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(Some(Err(BrokenOff::Upstream(error))));
                }
                Poll::Ready(Some(Ok(frame))) => frame,
            };
            // Trailers are none of the headers that are passed on.
            if let Ok(data) = frame.into_data() {
                return Poll::Ready(Some(self.counted(data)));
            }
        }
    }

    fn counted(&mut self, data: Bytes) -> Result<Bytes, BrokenOff> {
        let left = self.left.checked_sub(data.len() as u64);
        self.left = left.ok_or(BrokenOff::TooLarge)?;
        Ok(data)
    }

    /// All of it, for an answer that the proxy reads itself.
    pub(super) async fn collect(mut self) -> Result<Vec<u8>, BrokenOff> {
        let mut all = Vec::new();
        while let Some(data) = std::future::poll_fn(|cx| self.poll_data(cx)).await {
            all.extend_from_slice(&data?);
        }
        Ok(all)
    }
}

impl QueryBody {
    pub(super) fn whole(text: String) -> Self {
        Self(Content::Whole(text.into()))
    }

    pub(super) fn streamed(streamed: Streamed) -> Self {
        Self(Content::Streamed(Box::new(streamed)))
    }
}

impl Body for QueryBody {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let next = match &mut self.0 {
            Content::Ended => None,
            Content::Whole(text) => {
                let text = std::mem::take(text);
                self.0 = Content::Ended;
                (!text.is_empty()).then_some(Ok(text))
            }
            Content::Streamed(streamed) => {
                let next = std::task::ready!(streamed.poll_data(cx));
                if !matches!(next, Some(Ok(_))) {
                    // The connection and the slot are free from here on, however long the body is kept.
                    self.0 = Content::Ended;
                }
                next
            }
        };
        Poll::Ready(next.map(|data| data.map(Frame::data).map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Content::Ended => true,
            Content::Whole(text) => text.is_empty(),
            Content::Streamed(streamed) => streamed.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Ended => SizeHint::with_exact(0),
            Content::Whole(text) => SizeHint::with_exact(text.len() as u64),
            Content::Streamed(streamed) => streamed.incoming.size_hint(),
        }
    }
}

impl fmt::Debug for QueryBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryBody").finish_non_exhaustive()
    }
}

/// Why an answer has no end.
#[derive(Debug)]
pub(super) enum BrokenOff {
    Upstream(hyper::Error),
    TooLarge,
    TimeOver,
}

impl fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Upstream(_) => "the upstream broke off its answer",
            Self::TooLarge => "the upstream's answer is larger than allowed",
            Self::TimeOver => "the upstream's answer took longer than allowed",
        })
    }
}

impl Error for BrokenOff {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Upstream(error) => Some(error),
            Self::TooLarge | Self::TimeOver => None,
        }
    }
}
