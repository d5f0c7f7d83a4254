//! What the head of a response tells: which endpoint it was, whether a body follows, and how long a
//! life it begins.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{Extensions, HeaderMap, StatusCode};
use http_body::Body;

use super::long_lived::{LongLived, OpenConnection};
use super::{Exchange, Outcome};
use crate::labels::{Endpoint, Method, ResponseHead, Status};
use crate::scrape::Scrape;

/// What a body says of itself before it is polled.
#[derive(Clone, Copy)]
pub(super) struct BodyHints {
    exact: Option<u64>,
    is_end: bool,
}

impl BodyHints {
    #[inline]
    pub(super) fn of(body: &impl Body) -> Self {
        Self {
            exact: body.size_hint().exact(),
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
    pub(super) fn pass(&mut self, bytes: u64) {
        self.0 = self.0.saturating_sub(bytes);
    }

    #[inline]
    pub(super) fn is_nothing(self) -> bool {
        self.0 == 0
    }
}

/// What is left of a response after its head.
pub(super) struct Rest {
    /// Where the response says how much that is: a server stops asking for more then.
    pub(super) remaining: Remaining,
    /// A connection that may outlive the exchange.
    pub(super) connection: Option<OpenConnection>,
}

impl Rest {
    fn of(remaining: Remaining) -> Self {
        Self {
            remaining,
            connection: None,
        }
    }
}

impl Exchange {
    /// Whether the head may say more than its status does.
    #[inline]
    pub(super) fn asks_head(&self, extensions: &Extensions, body: BodyHints) -> bool {
        !extensions.is_empty() || body.exact.is_none() || self.asks_response()
    }

    /// Reads a head that says no more than its status.
    #[inline(never)]
    pub(super) fn read_status(&mut self, code: StatusCode, body: BodyHints) -> Rest {
        let Some(method) = self.method() else {
            return Rest::of(Remaining::UNKNOWN);
        };
        self.answer(code);
        self.settle();
        match kind_by_status(code, method) {
            Some(kind) => self.open_connection(code, kind, None),
            None => self.begin_body(code, method, body),
        }
    }

    /// The head is there: with it the request may end, or begin a connection.
    pub(super) fn read_head(&mut self, response: ResponseHead<'_>, mut body: BodyHints) -> Rest {
        let Some(method) = self.method() else {
            return Rest::of(Remaining::UNKNOWN);
        };
        let (code, headers) = (response.status(), response.headers());
        let extensions = response.extensions();
        if extensions.get::<Scrape>().is_some() {
            self.close(Outcome::Scrape);
            return Rest::of(Remaining::UNKNOWN);
        }
        self.answer(code);
        self.learn(response, extensions.get::<Endpoint>());
        let marked = extensions.get::<LongLived>();
        let kind = marked.map(LongLived::kind);
        let kind = kind.or_else(|| kind_by_status(code, method));
        let streams = || body.exact.is_none() && method != Method::Head && is_event_stream(headers);
        if let Some(kind) = kind.or_else(|| streams().then_some("event-stream")) {
            return self.open_connection(code, kind, marked);
        }
        body.exact = body.exact.or_else(|| declared_length(headers));
        self.begin_body(code, method, body)
    }

    /// What follows the head is a body, if anything: without, the request has ended.
    #[inline]
    fn begin_body(&mut self, code: StatusCode, method: Method, body: BodyHints) -> Rest {
        let is_empty = body.is_end || body.exact == Some(0);
        if is_empty || method == Method::Head || has_no_body(code) {
            self.end_body(None);
        }
        Rest::of(Remaining::of(body.exact))
    }

    /// A connection's life is no latency: the request ends at its head, the connection goes on.
    #[cold]
    fn open_connection(
        &mut self,
        code: StatusCode,
        kind: &'static str,
        marked: Option<&LongLived>,
    ) -> Rest {
        let connection = self.connection(kind);
        self.close(Outcome::LongLived(Status::of(code)));
        Rest {
            remaining: Remaining::UNKNOWN,
            connection: match marked {
                Some(marked) => marked.keep(connection),
                None => connection,
            },
        }
    }
}

/// What kind of long-lived connection a response begins by the rules of HTTP.
#[inline]
fn kind_by_status(code: StatusCode, method: Method) -> Option<&'static str> {
    if code == StatusCode::SWITCHING_PROTOCOLS {
        Some("upgrade")
    } else if method == Method::Connect && code.is_success() {
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

/// Responses whose body, if they carry one, never reaches the client.
#[inline]
fn has_no_body(code: StatusCode) -> bool {
    code.is_informational() || code == StatusCode::NO_CONTENT || code == StatusCode::NOT_MODIFIED
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
