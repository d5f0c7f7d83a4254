//! [`QueryBody`]: the response body of the proxy.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Sleep;

use crate::concurrency::TimedPermit;

/// The response body of a [`QueryProxy`](crate::QueryProxy).
///
/// The response of the upstream is forwarded as it arrives, without buffering. Trailers are not forwarded. The body fails
/// if
///
/// - the upstream's body fails;
/// - it exceeds [`max_response_bytes`](crate::QueryProxyBuilder::max_response_bytes);
/// - the time limit of the request is exceeded.
///
/// If the body fails, the server aborts the response, so the client does not mistake it for a complete one. Dropping the
/// body cancels the query.
pub struct QueryBody {
    /// `None` after the end or an error of the upstream's body, and for responses that the proxy itself creates.
    upstream: Option<Box<UpstreamBody>>,
    /// The body of a response that the proxy itself creates.
    text: Bytes,
}

/// An upstream's response body with a maximum size and a deadline.
pub(crate) struct UpstreamBody {
    incoming: Incoming,
    remaining_bytes: u64,
    deadline: Pin<Box<Sleep>>,
    _permit: TimedPermit,
}

impl UpstreamBody {
    pub(crate) fn new(
        incoming: Incoming,
        max_bytes: u64,
        deadline: Sleep,
        permit: TimedPermit,
    ) -> Self {
        Self {
            incoming,
            remaining_bytes: max_bytes,
            deadline: Box::pin(deadline),
            _permit: permit,
        }
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        // Polled before the data: otherwise, an upstream that always has more data could exceed the deadline.
        if self.deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(BodyError::Deadline)));
        }
        loop {
            let frame = match ready!(Pin::new(&mut self.incoming).poll_frame(cx)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(BodyError::Upstream(error)))),
                Some(Ok(frame)) => frame,
            };
            // Trailers are not forwarded.
            if let Ok(data) = frame.into_data() {
                return Poll::Ready(Some(self.count(data)));
            }
        }
    }

    /// Counts the bytes, and fails if they exceed the limit.
    fn count(&mut self, data: Bytes) -> Result<Bytes, BodyError> {
        let remaining = self.remaining_bytes.checked_sub(data.len() as u64);
        self.remaining_bytes = remaining.ok_or(BodyError::TooLarge)?;
        Ok(data)
    }

    /// Reads the whole body, for responses that the proxy interprets.
    pub(crate) async fn collect(mut self) -> Result<Vec<u8>, BodyError> {
        let mut bytes = Vec::new();
        while let Some(data) = std::future::poll_fn(|cx| self.poll_data(cx)).await {
            bytes.extend_from_slice(&data?);
        }
        Ok(bytes)
    }
}

impl QueryBody {
    pub(crate) fn text(text: String) -> Self {
        Self {
            upstream: None,
            text: text.into(),
        }
    }

    pub(crate) fn upstream(upstream: UpstreamBody) -> Self {
        Self {
            upstream: Some(Box::new(upstream)),
            text: Bytes::new(),
        }
    }
}

impl Body for QueryBody {
    type Data = Bytes;
    type Error = Box<dyn StdError + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(upstream) = &mut self.upstream else {
            let text = std::mem::take(&mut self.text);
            return Poll::Ready((!text.is_empty()).then(|| Ok(Frame::data(text))));
        };
        let data = ready!(upstream.poll_data(cx));
        if !matches!(data, Some(Ok(_))) {
            // Releases the connection and the permit now, even if the body is not dropped.
            self.upstream = None;
        }
        Poll::Ready(data.map(|data| data.map(Frame::data).map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.upstream {
            Some(upstream) => upstream.incoming.is_end_stream(),
            None => self.text.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.upstream {
            Some(upstream) => upstream.incoming.size_hint(),
            None => SizeHint::with_exact(self.text.len() as u64),
        }
    }
}

impl fmt::Debug for QueryBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryBody").finish_non_exhaustive()
    }
}

/// Why the upstream's response body is incomplete.
#[derive(Debug)]
pub(crate) enum BodyError {
    Upstream(hyper::Error),
    TooLarge,
    Deadline,
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Upstream(_) => "the upstream's response is incomplete",
            Self::TooLarge => "the upstream's response is larger than allowed",
            Self::Deadline => "the upstream's response took longer than allowed",
        })
    }
}

impl StdError for BodyError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Upstream(error) => Some(error),
            Self::TooLarge | Self::Deadline => None,
        }
    }
}
