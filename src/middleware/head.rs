//! What the head of a response tells: which endpoint it was, whether a body follows, and how long a
//! life it begins.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
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

/// What is left of a response after its head.
#[derive(Default)]
pub(super) struct Head {
    /// How many bytes are to come, where the response says so: a server stops asking for more then.
    pub(super) remaining: Option<u64>,
    /// A connection that may outlive the exchange.
    pub(super) connection: Option<OpenConnection>,
}

impl Exchange {
    /// The head is there: with it the request may end, or begin a connection.
    pub(super) fn read_head(&mut self, response: ResponseHead<'_>, body: BodyHints) -> Head {
        let Some(method) = self.method() else {
            return Head::default();
        };
        let (code, extensions) = (response.status(), response.extensions());
        let mut named = None;
        let mut marked = None;
        if !extensions.is_empty() {
            if extensions.get::<Scrape>().is_some() {
                self.close(Outcome::Scrape);
                return Head::default();
            }
            named = extensions.get::<Endpoint>();
            marked = extensions.get::<LongLived>();
        }
        self.answer(response, named);
        let kind = marked.map(LongLived::kind);
        if let Some(kind) = kind.or_else(|| unmarked_kind(response, method, body)) {
            return self.open_connection(code, kind, marked);
        }
        let remaining = body.exact.or_else(|| declared_length(response.headers()));
        if method == Method::Head || has_no_body(code) || body.is_end || remaining == Some(0) {
            self.end_body(None);
        }
        Head {
            remaining,
            connection: None,
        }
    }

    /// A connection's life is no latency: the request ends at its head, the connection goes on.
    #[cold]
    fn open_connection(
        &mut self,
        code: StatusCode,
        kind: &'static str,
        marked: Option<&LongLived>,
    ) -> Head {
        let connection = self.connection(kind);
        self.close(Outcome::LongLived(Status::of(code)));
        Head {
            remaining: None,
            connection: match marked {
                Some(marked) => marked.keep(connection),
                None => connection,
            },
        }
    }
}

/// What kind of long-lived connection a response begins by the rules of HTTP.
#[inline]
fn unmarked_kind(
    response: ResponseHead<'_>,
    method: Method,
    body: BodyHints,
) -> Option<&'static str> {
    let code = response.status();
    if code == StatusCode::SWITCHING_PROTOCOLS {
        Some("upgrade")
    } else if method == Method::Connect && code.is_success() {
        Some("connect")
    } else if body.exact.is_none() && is_event_stream(response.headers()) && method != Method::Head
    {
        Some("event-stream")
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
