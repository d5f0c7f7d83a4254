//! [`ObservedBody`]: a response body that detects its end of stream.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::lifecycle::end::{End, ResponseExchange};
use crate::lifecycle::panic_guard::PanicGuard;

pin_project! {
    /// A response body that reports its frames and its end to an exchange.
    ///
    /// The body is complete as soon as one of these happens:
    ///
    /// - The inner body returns `None` or trailers.
    /// - The announced number of bytes has passed, unless the exchange waits for trailers
    ///   ([`on_last_byte`](ResponseExchange::on_last_byte)).
    /// - `is_end_stream` returns `true` after a frame that is not the last announced one.
    ///
    /// An exchange that waits for trailers does not end with the last announced byte, even if `is_end_stream` then returns
    /// `true`: it ends when the body returns `None` or trailers, or is dropped.
    ///
    /// Servers may stop polling at any of these points, so waiting for `None` would miss most ends. If the body
    /// is dropped earlier, the destructor of the exchange reports it.
    #[derive(Debug)]
    pub(crate) struct ObservedBody<B, E> {
        #[pin]
        inner: B,
        exchange: E,
        remaining: Remaining,
    }
}

impl<B, E> ObservedBody<B, E> {
    #[inline]
    pub(crate) fn new(inner: B, exchange: E, remaining: Remaining) -> Self {
        Self {
            inner,
            exchange,
            remaining,
        }
    }
}

impl<B: Body, E: ResponseExchange> Body for ObservedBody<B, E> {
    type Data = B::Data;
    type Error = B::Error;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut this = self.project();
        this.exchange.on_poll();
        let guard = PanicGuard::new(this.exchange);
        let polled = this.inner.as_mut().poll_frame(cx);
        guard.defuse();
        let Poll::Ready(frame) = &polled else {
            return polled;
        };
        let end = match frame {
            None => Some(End::Complete),
            Some(Err(_)) => Some(End::Failed),
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    let len = data.remaining() as u64;
                    this.exchange.on_data(data, len);
                    this.remaining.pass(len);
                }
                let trailers = frame.trailers_ref();
                if let Some(trailers) = trailers {
                    this.exchange.on_trailers(trailers);
                }
                if trailers.is_none() && this.remaining.is_nothing() {
                    this.exchange.on_last_byte();
                    return polled;
                }
                let is_end = trailers.is_some() || this.inner.is_end_stream();
                is_end.then_some(End::Complete)
            }
        };
        if let Some(end) = end {
            this.exchange.end(end);
        }
        polled
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    #[inline]
    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The number of bytes of a body that have not passed yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remaining(u64);

impl Remaining {
    /// For bodies without an announced length: more bytes than can pass.
    pub(crate) const UNKNOWN: Self = Self(u64::MAX);

    #[inline]
    pub(crate) fn of(bytes: Option<u64>) -> Self {
        bytes.map_or(Self::UNKNOWN, Self)
    }

    #[inline]
    pub(crate) fn is_unknown(self) -> bool {
        self.0 == Self::UNKNOWN.0
    }

    #[inline]
    pub(crate) fn pass(&mut self, bytes: u64) {
        self.0 = self.0.saturating_sub(bytes);
    }

    #[inline]
    pub(crate) fn is_nothing(self) -> bool {
        self.0 == 0
    }
}
