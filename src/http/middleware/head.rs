//! Reads the response head: the endpoint, the labels, whether a body follows, and whether a long-lived
//! connection starts.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{Extensions, HeaderMap, StatusCode};
use http_body::Body;

use crate::http::labels::endpoint::Endpoint;
use crate::http::labels::head::ResponseHead;
use crate::http::labels::method::Method;
use crate::http::labels::skip_metrics::SkipMetrics;
use crate::http::labels::status::Status;
use crate::http::middleware::exchange::HttpExchange;
use crate::http::middleware::long_lived::{LongLived, OpenConnection};
use crate::http::middleware::outcome::RequestEnd;
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

/// The body or connection that follows a response head.
pub(crate) struct BodyPlan {
    /// The announced length of the body, if it is known: a server stops polling after these bytes.
    pub(crate) remaining: Remaining,
    /// A long-lived connection, which may outlive the exchange.
    pub(crate) connection: Option<OpenConnection>,
}

impl BodyPlan {
    #[inline]
    fn of(remaining: Remaining) -> Self {
        Self {
            remaining,
            connection: None,
        }
    }
}

impl HttpExchange {
    /// Fast path: reads a head of which only the status matters, followed by a body of known length.
    ///
    /// Returns `None` for any other head: the response has extensions or may lack a body, or the layer reads
    /// more than the status.
    #[inline]
    pub(crate) fn read_status(
        &mut self,
        code: StatusCode,
        extensions: &Extensions,
        body: BodyHints,
    ) -> Option<BodyPlan> {
        let needs_head = body.remaining.is_unknown() || !extensions.is_empty();
        if needs_head || !may_have_body(code) || !self.needs_only_status() {
            return None;
        }
        self.record_status(code);
        Some(self.start_body(body))
    }

    /// Reads a response head. It may end the request or start a long-lived connection.
    #[inline(never)]
    pub(crate) fn read_head(
        &mut self,
        code: StatusCode,
        headers: &HeaderMap,
        extensions: &Extensions,
        mut body: BodyHints,
    ) -> BodyPlan {
        let response = ResponseHead::new(code, headers, extensions);
        if extensions.get::<SkipMetrics>().is_some() {
            self.end_as(RequestEnd::Skipped);
        }
        let Some(method) = self.record_head(code) else {
            return BodyPlan::of(Remaining::UNKNOWN);
        };
        self.apply_response(response, extensions.get::<Endpoint>());
        let marked = extensions.get::<LongLived>();
        if marked.is_some() || !body_follows(code, method) {
            return self.start_without_body(code, method, marked);
        }
        if body.remaining.is_unknown() {
            if is_event_stream(headers) {
                return self.open_connection(code, "event-stream", None);
            }
            body.remaining = Remaining::of(content_length(headers));
        }
        self.start_body(body)
    }

    /// Plans a body that follows the head. If it is empty, the request ends.
    #[inline]
    fn start_body(&mut self, body: BodyHints) -> BodyPlan {
        if body.is_end || body.remaining.is_nothing() {
            self.end(End::Complete);
        }
        BodyPlan::of(body.remaining)
    }

    /// Opens a long-lived connection, or ends the request if no body reaches the client.
    #[cold]
    fn start_without_body(
        &mut self,
        code: StatusCode,
        method: Method,
        marked: Option<&LongLived>,
    ) -> BodyPlan {
        let kind = marked.map(LongLived::kind);
        if let Some(kind) = kind.or_else(|| unmarked_kind(code, method)) {
            return self.open_connection(code, kind, marked);
        }
        self.end(End::Complete);
        BodyPlan::of(Remaining::UNKNOWN)
    }

    /// Ends the request at its response head, because the lifetime of a connection is not a latency. The
    /// connection stays open.
    fn open_connection(
        &mut self,
        code: StatusCode,
        kind: &'static str,
        marked: Option<&LongLived>,
    ) -> BodyPlan {
        let connection = self.connection(kind);
        self.end_as(RequestEnd::LongLived(Status::of(code)));
        BodyPlan {
            remaining: Remaining::UNKNOWN,
            connection: match marked {
                Some(marked) => marked.keep(connection),
                None => connection,
            },
        }
    }
}

/// Whether a body for the client follows the head: not after an upgrade, in a tunnel, or if HTTP forbids a
/// body.
#[inline]
fn body_follows(code: StatusCode, method: Method) -> bool {
    may_have_body(code) && method != Method::Head && !is_tunnel(code, method)
}

/// Whether a body for the client can follow a head with this status.
#[inline]
fn may_have_body(code: StatusCode) -> bool {
    let has_none = code == StatusCode::NO_CONTENT || code == StatusCode::NOT_MODIFIED;
    !(code.is_informational() || has_none)
}

fn is_tunnel(code: StatusCode, method: Method) -> bool {
    method == Method::Connect && code.is_success()
}

/// The kind of long-lived connection that a response starts by the rules of HTTP.
fn unmarked_kind(code: StatusCode, method: Method) -> Option<&'static str> {
    if code == StatusCode::SWITCHING_PROTOCOLS {
        Some("upgrade")
    } else if is_tunnel(code, method) {
        Some("connect")
    } else {
        None
    }
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
