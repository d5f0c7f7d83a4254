//! [`ResponseBody`]: sees the end of a response.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::long_lived::{LongLived, OpenConnection};
use super::{AbortReason, Exchange, Outcome};
use crate::labels::Endpoint;
use crate::scrape::Scrape;

pin_project! {
    /// A response's body on its way out: the inner one, and an eye on where it ends.
    ///
    /// A server stops polling a body in more ways than one: it asks for a frame and gets none, it
    /// sees `is_end_stream`, it has sent as many bytes as `content-length` says, or it sends trailers
    /// after which nothing can come. Each of these is the body's end; a drop before that is not.
    #[derive(Debug)]
    pub struct ResponseBody<B> {
        #[pin]
        inner: B,
        exchange: Exchange,
        // Bytes still to come, where the response says how many there are.
        remaining: Option<u64>,
        connection: Option<OpenConnection>,
    }
}

impl<B: Body> ResponseBody<B> {
    /// Takes over the exchange at the head of its response.
    #[inline]
    pub(super) fn wrap(response: Response<B>, mut exchange: Exchange) -> Response<Self> {
        let connection = if exchange.is_open() {
            read_head(&response, &mut exchange)
        } else {
            None
        };
        let remaining = if exchange.is_open() {
            length(&response)
        } else {
            None
        };
        if remaining == Some(0) {
            exchange.end_body(None);
        }
        response.map(|inner| Self {
            inner,
            exchange,
            remaining,
            connection,
        })
    }
}

/// Tells the exchange what the head says; what it begins may outlive the exchange.
#[inline]
fn read_head<B: Body>(response: &Response<B>, exchange: &mut Exchange) -> Option<OpenConnection> {
    let (code, extensions) = (response.status(), response.extensions());
    let mut named = None;
    let mut marked = None;
    if !extensions.is_empty() {
        if extensions.get::<Scrape>().is_some() {
            exchange.close(Outcome::Scrape);
            return None;
        }
        named = extensions.get::<Endpoint>();
        marked = extensions.get::<LongLived>();
    }
    exchange.answer(response, named);
    let kind = marked.map(LongLived::kind);
    if let Some(kind) = kind.or_else(|| unmarked_kind(response, exchange)) {
        return open_connection(exchange, code, kind, marked);
    }
    if exchange.is_head_request() || has_no_body(code) || response.body().is_end_stream() {
        exchange.end_body(None);
    }
    None
}

/// What kind of long-lived connection a response begins by the rules of HTTP.
#[inline]
fn unmarked_kind<B: Body>(response: &Response<B>, exchange: &Exchange) -> Option<&'static str> {
    let code = response.status();
    if code == StatusCode::SWITCHING_PROTOCOLS {
        Some("upgrade")
    } else if exchange.is_connect_request() && code.is_success() {
        Some("connect")
    } else if response.body().size_hint().exact().is_none()
        && is_event_stream(response.headers())
        && !exchange.is_head_request()
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

/// A connection's life is no latency: the request ends at its head, the connection goes on.
#[cold]
fn open_connection(
    exchange: &mut Exchange,
    code: StatusCode,
    kind: &'static str,
    marked: Option<&LongLived>,
) -> Option<OpenConnection> {
    let connection = exchange.connection(kind);
    exchange.close(Outcome::LongLived(code));
    match marked {
        Some(marked) => marked.keep(connection),
        None => connection,
    }
}

/// Responses whose body, if they carry one, never reaches the client.
#[inline]
fn has_no_body(code: StatusCode) -> bool {
    code.is_informational() || code == StatusCode::NO_CONTENT || code == StatusCode::NOT_MODIFIED
}

/// How many bytes a server will send: it stops asking for more when it has them.
#[inline]
fn length<B: Body>(response: &Response<B>) -> Option<u64> {
    let declared = || {
        response
            .headers()
            .get(CONTENT_LENGTH)?
            .to_str()
            .ok()?
            .parse()
            .ok()
    };
    response.body().size_hint().exact().or_else(declared)
}

impl<B: Body> Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        use bytes::Buf;
        let mut this = self.project();
        let polled = ready!(this.exchange.watch(|| this.inner.as_mut().poll_frame(cx)));
        let end = match &polled {
            None => End::Complete,
            Some(Err(_)) => End::Failed,
            Some(Ok(frame)) => {
                let sent = frame.data_ref().map_or(0, Buf::remaining) as u64;
                this.exchange.send(sent);
                if let Some(remaining) = this.remaining {
                    *remaining = remaining.saturating_sub(sent);
                }
                if frame.is_trailers() || *this.remaining == Some(0) || this.inner.is_end_stream() {
                    End::Complete
                } else {
                    End::NotYet
                }
            }
        };
        if end != End::NotYet {
            let aborted = (end == End::Failed).then_some(AbortReason::Error);
            this.exchange.end_body(aborted);
            *this.connection = None;
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[derive(PartialEq)]
enum End {
    NotYet,
    Complete,
    Failed,
}
