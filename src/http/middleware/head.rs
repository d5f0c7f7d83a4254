//! What the head of a response tells: which endpoint it was, whether a body follows, and how long a
//! life it begins.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{Extensions, HeaderMap, StatusCode};
use http_body::Body;

use crate::http::labels::endpoint::Endpoint;
use crate::http::labels::head::ResponseHead;
use crate::http::labels::method::Method;
use crate::http::labels::skip_metrics::SkipMetrics;
use crate::http::labels::status::Status;
use crate::http::middleware::exchange::Exchange;
use crate::http::middleware::long_lived::{LongLived, OpenConnection};
use crate::http::middleware::outcome::RequestEnd;

/// What a body says of itself before it is polled.
#[derive(Clone, Copy)]
pub(super) struct BodyHints {
    remaining: Remaining,
    is_end: bool,
}

impl BodyHints {
    #[inline]
    pub(super) fn of(body: &impl Body) -> Self {
        Self {
            remaining: Remaining::of(body.size_hint().exact()),
            is_end: body.is_end_stream(),
        }
    }
}

/// How many bytes of a body are to come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Remaining(u64);

impl Remaining {
    /// More than will ever pass.
    const UNKNOWN: Self = Self(u64::MAX);

    #[inline]
    fn of(bytes: Option<u64>) -> Self {
        bytes.map_or(Self::UNKNOWN, Self)
    }

    #[inline]
    fn is_unknown(self) -> bool {
        self.0 == Self::UNKNOWN.0
    }

    #[inline]
    pub(super) fn pass(&mut self, bytes: u64) {
        self.0 = self.0.saturating_sub(bytes);
    }

    #[inline]
    pub(super) fn is_nothing(self) -> bool {
        self.0 == 0
    }
}

/// What is left of a response after its head.
pub(super) struct BodyPlan {
    /// Where the response says how much that is: a server stops asking for more then.
    pub(super) remaining: Remaining,
    /// A connection that may outlive the exchange.
    pub(super) connection: Option<OpenConnection>,
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

impl Exchange {
    /// Reads a head that says no more than its status, before a body of known length: what most
    /// responses are. `None` if it says more, or if somebody asks.
    #[inline]
    pub(super) fn read_status(
        &mut self,
        code: StatusCode,
        extensions: &Extensions,
        body: BodyHints,
    ) -> Option<BodyPlan> {
        let says_more = body.remaining.is_unknown() || !extensions.is_empty();
        if says_more || !may_have_body(code) || !self.takes_status_alone() {
            return None;
        }
        self.answer_alone(code);
        Some(self.begin_body(body))
    }

    /// The head is there: with it the request may end, or begin a connection.
    #[inline(never)]
    pub(super) fn read_head(
        &mut self,
        code: StatusCode,
        headers: &HeaderMap,
        extensions: &Extensions,
        mut body: BodyHints,
    ) -> BodyPlan {
        let response = ResponseHead::new(code, headers, extensions);
        if extensions.get::<SkipMetrics>().is_some() {
            self.close(RequestEnd::SkipMetrics);
        }
        let Some(method) = self.answer(code) else {
            return BodyPlan::of(Remaining::UNKNOWN);
        };
        self.learn(response, extensions.get::<Endpoint>());
        let marked = extensions.get::<LongLived>();
        if marked.is_some() || !begins_body(code, method) {
            return self.begin_other(code, method, marked);
        }
        if body.remaining.is_unknown() {
            if is_event_stream(headers) {
                return self.open_connection(code, "event-stream", None);
            }
            body.remaining = Remaining::of(declared_length(headers));
        }
        self.begin_body(body)
    }

    /// What follows the head is a body: if it is empty, the request has ended.
    #[inline]
    fn begin_body(&mut self, body: BodyHints) -> BodyPlan {
        if body.is_end || body.remaining.is_nothing() {
            self.end_body(None);
        }
        BodyPlan::of(body.remaining)
    }

    /// What follows the head is a long life, or nothing that reaches the client.
    #[cold]
    fn begin_other(
        &mut self,
        code: StatusCode,
        method: Method,
        marked: Option<&LongLived>,
    ) -> BodyPlan {
        let kind = marked.map(LongLived::kind);
        if let Some(kind) = kind.or_else(|| unmarked_kind(code, method)) {
            return self.open_connection(code, kind, marked);
        }
        self.end_body(None);
        BodyPlan::of(Remaining::UNKNOWN)
    }

    /// A connection's life is no latency: the request ends at its head, the connection goes on.
    fn open_connection(
        &mut self,
        code: StatusCode,
        kind: &'static str,
        marked: Option<&LongLived>,
    ) -> BodyPlan {
        let connection = self.connection(kind);
        self.close(RequestEnd::LongLived(Status::of(code)));
        BodyPlan {
            remaining: Remaining::UNKNOWN,
            connection: match marked {
                Some(marked) => marked.keep(connection),
                None => connection,
            },
        }
    }
}

/// Whether what follows such a head is a body for the client: not after an upgrade, not in a tunnel, and not
/// where HTTP says that there is none.
#[inline]
fn begins_body(code: StatusCode, method: Method) -> bool {
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

/// What kind of long-lived connection a response begins by the rules of HTTP.
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

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
