//! [`End`]: how an exchange ends.

use bytes::Buf;
use http::HeaderMap;

use crate::lifecycle::panic_guard::OnPanic;

/// How an exchange of a request and a response ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The response body was completed, or there was none to send.
    Complete,
    /// The service or the response body returned an error.
    Failed,
    /// The future or the body was dropped: the client disconnected, or a timeout of an outer layer expired.
    Dropped,
    /// The service or the response body panicked.
    Panicked,
}

/// An exchange of a request and a response.
pub(crate) trait Exchange {
    /// Records the end of the exchange. Only the first call counts.
    fn end(&mut self, end: End);
}

impl<E: Exchange> OnPanic for E {
    #[cold]
    fn on_panic(&mut self) {
        self.end(End::Panicked);
    }
}

/// An exchange whose response body is being sent.
pub(crate) trait ResponseExchange: Exchange {
    /// The body is about to be polled.
    #[inline]
    fn on_poll(&mut self) {}

    /// A data frame of `len` bytes has passed.
    fn on_data(&mut self, data: &impl Buf, len: u64);

    /// As many bytes as announced have passed. By default, the exchange ends here, because a server may stop polling.
    /// `is_end_stream` is not called.
    #[inline]
    fn on_last_byte(&mut self) {
        self.end(End::Complete);
    }

    /// Trailers have passed. The exchange may end here. Otherwise [`end`](Exchange::end), which is called next, ends it.
    fn on_trailers(&mut self, trailers: &HeaderMap);
}
