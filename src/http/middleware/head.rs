//! Reads the response head: the endpoint, the labels, whether a body follows, and whether a long-lived
//! connection starts.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{Extensions, HeaderMap, StatusCode};
use http_body::Body;

use crate::http::labels::endpoint::Endpoint;
use crate::http::labels::head::ResponseHead;
use crate::http::labels::method::Method;
use crate::http::labels::request_end::RequestEnd;
use crate::http::labels::skip_metrics::SkipMetrics;
use crate::http::labels::status::Status;
use crate::http::middleware::exchange::HttpExchange;
use crate::http::middleware::long_lived::{FiniteStream, LongLived};
use crate::lifecycle::body::Remaining;
use crate::lifecycle::end::{End, Exchange};

/// The length and the end of a body, as far as they are known before it is polled.
#[derive(Clone, Copy)]
pub(crate) struct BodyHints {
    remaining: Remaining,
    is_end: bool,
}

impl BodyHints {
    #[inline]
    pub(crate) fn of(body: &impl Body) -> Self {
        Self {
            remaining: Remaining::of(body.size_hint().exact()),
            is_end: body.is_end_stream(),
        }
    }
}

impl HttpExchange {
    /// Fast path: reads a head of which only the status matters, followed by a body with an exact `size_hint`.
    /// Returns this length: a server stops polling after these bytes. The request may end here.
    ///
    /// For any other head, nothing is recorded and `None` is returned: the length is not known from `size_hint`, the response
    /// has extensions or may lack a body, the layer reads more than the status, or the request is not in progress. It is not
    /// if it is not measured, or still deferred, as the first of its series if the inner service responds when it is first polled.
    #[inline]
    pub(crate) fn try_read_status(
        &mut self,
        code: StatusCode,
        extensions: &Extensions,
        body: BodyHints,
    ) -> Option<Remaining> {
        let needs_head = body.remaining.is_unknown() || !extensions.is_empty();
        if needs_head || !may_have_body(code) || !self.needs_only_status() {
            return None;
        }
        self.record_status(code);
        Some(self.start_body(body))
    }

    /// Reads a response head. Returns the length of the body, as far as it is known and if the request ends with the body;
    /// otherwise `UNKNOWN`. The request may end here, also because a long-lived connection starts.
    #[inline(never)]
    pub(crate) fn read_head(
        &mut self,
        code: StatusCode,
        headers: &HeaderMap,
        extensions: &Extensions,
        mut body: BodyHints,
    ) -> Remaining {
        let response = ResponseHead::new(code, headers, extensions);
        if extensions.get::<SkipMetrics>().is_some() {
            self.end_as(RequestEnd::Skipped);
        }
        let Some(method) = self.record_head(code) else {
            return Remaining::UNKNOWN;
        };
        self.apply_response(response, extensions.get::<Endpoint>());
        let marked = extensions.get::<LongLived>();
        if is_upgrade(code, method) {
            // The server drops the body of an upgrade at once, so only a guard knows when its connection ends.
            return self.start_long_lived(code, marked.filter(|mark| mark.is_guarded()));
        }
        if method == Method::HEAD || !may_have_body(code) {
            self.end(End::Complete);
            return Remaining::UNKNOWN;
        }
        if marked.is_some() {
            return self.start_long_lived(code, marked);
        }
        if body.remaining.is_unknown() {
            if is_endless_event_stream(method, headers, extensions) {
                return self.start_long_lived(code, Some(&LongLived::EVENT_STREAM));
            }
            body.remaining = Remaining::of(content_length(headers));
        }
        self.start_body(body)
    }

    /// Starts a body that follows the head. If the body is at its end, the request ends. If it is not, and its length is 0,
    /// only trailers can follow: see [`HttpExchange::end_or_await_trailers`].
    #[inline]
    fn start_body(&mut self, body: BodyHints) -> Remaining {
        if body.is_end {
            self.end(End::Complete);
        } else if body.remaining.is_nothing() {
            self.end_or_await_trailers();
        }
        body.remaining
    }

    /// Ends the request at its response head, because the lifetime of a connection is not a latency. If it is
    /// marked, the connection is in `http_connections_open` from now on, unless its guard was dropped before.
    #[cold]
    fn start_long_lived(&mut self, code: StatusCode, marked: Option<&LongLived>) -> Remaining {
        let connection = marked.and_then(|mark| self.open_connection(mark));
        self.end_as(RequestEnd::LongLived(Status::of(code)));
        self.keep_for(connection);
        Remaining::UNKNOWN
    }
}

/// Whether a body for the client can follow a head with this status.
#[inline]
fn may_have_body(code: StatusCode) -> bool {
    let has_none = code == StatusCode::NO_CONTENT || code == StatusCode::NOT_MODIFIED;
    !(code.is_informational() || has_none)
}

/// Whether the connection continues with another protocol: 101, or a tunnel. A WebSocket over HTTP/2 is a tunnel.
fn is_upgrade(code: StatusCode, method: Method) -> bool {
    code == StatusCode::SWITCHING_PROTOCOLS || is_tunnel(code, method)
}

fn is_tunnel(code: StatusCode, method: Method) -> bool {
    method == Method::CONNECT && code.is_success()
}

/// Whether a response is a GET event stream, if the `size_hint` of its body is not exact; a `content-length` does not
/// matter. It lasts until the client leaves, as that of a
/// browser's `EventSource`. An event stream in response to another method, as of a language model, ends.
fn is_endless_event_stream(method: Method, headers: &HeaderMap, extensions: &Extensions) -> bool {
    method == Method::GET && is_event_stream(headers) && extensions.get::<FiniteStream>().is_none()
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    const EVENT_STREAM: &[u8] = b"text/event-stream";
    headers.get(CONTENT_TYPE).is_some_and(|content_type| {
        let start = content_type.as_bytes().get(..EVENT_STREAM.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(EVENT_STREAM))
    })
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
