//! [`LongLived`]: responses that start a long-lived connection, and the gauge of open connections.

use std::fmt;
use std::sync::{Arc, Mutex};

use crate::clock::Instant;
use crate::http::series::connection::ConnectionSeries;
use crate::http::series::series_ref::SeriesRef;
use crate::sync::lock;

/// A response extension that marks the start of a long-lived connection.
///
/// Mark only responses that start a connection or an endless stream: the body of a marked response is not part
/// of the duration, its size is not recorded, and it is not counted as aborted if the client disconnects.
///
/// The request ends at the response head, because the lifetime of a connection is not a latency: it is
/// counted, its duration is recorded, and it is no longer in progress. While the connection is open, it is in
/// the gauge `http_connections_open{endpoint,kind}`.
///
/// | event | effect |
/// |---|---|
/// | the layer reads the response head | the connection is in the gauge |
/// | the response body ends or is dropped | the connection is no longer in the gauge; with [`guarded`](Self::guarded), the body has no effect on the gauge: only the guard decides |
/// | the guard is dropped | the connection is no longer in the gauge |
/// | the guard is dropped before the layer reads the response head | the connection is never in the gauge; the series is exported as 0 |
/// | the response passes several layers | the connection is in the gauge of each layer, until the same end |
/// | the response body returns an error or panics | `http_response_bodies_aborted_total` is incremented too |
/// | the client disconnects | the normal end of a connection, not an aborted body |
///
/// | response | mark | `kind` |
/// |---|---|---|
/// | [GET event stream](crate#glossary): `content-type: text/event-stream`, and the `size_hint` of the body is not exact | not needed, however short the stream is; [`FiniteStream`] opts out | `event-stream` |
/// | event stream in response to another method, such as the output of a language model in response to POST | none: it is a response like any other, unless it is marked | that of the mark |
/// | any other endless body | [`LongLived::new`] | that of the mark |
/// | upgrade: 101, or a 2xx to CONNECT, such as a WebSocket over HTTP/2 | [`LongLived::guarded`] | that of the mark |
/// | response without a body that is not an upgrade: to HEAD, 204 and 304 | any mark is ignored; the request ends at its head | no series |
///
/// An upgrade needs a guard, because the server drops its body at once: the layer cannot see when the WebSocket or the
/// tunnel closes. Without a guard, its request ends correctly, and `http_connections_open` has no series for it.
///
/// Move the guard into the task that serves the WebSocket, and bind it to a name, such as `let _open = guard;`.
/// `let _ = guard;` does not move the guard into the task: it is dropped when the handler returns, before the layer
/// reads the response head, and the connection is not in the gauge.
///
/// A WebSocket of axum (feature `ws`), over HTTP/1 and HTTP/2:
///
// Compiled in `tests/integration`, which has axum with the feature `ws`.
#[cfg_attr(not(doctest), doc = include_str!("long_lived_axum.md"))]
///
/// `any` routes both versions of HTTP to the handler; with `get`, HTTP/2 is answered with 405:
///
/// | version | request | status | series of `http_requests_total` | series of `http_connections_open` |
/// |---|---|---|---|---|
/// | HTTP/1 | GET | 101 | `method="GET",status="101"` | `kind="websocket"` |
/// | HTTP/2 | CONNECT | 200 | `method="CONNECT",status="200"` | the same |
///
/// Any other service:
///
/// ```
/// use http::{Response, StatusCode};
/// use tower_prometheus::http::LongLived;
///
/// let (mark, guard) = LongLived::guarded("websocket");
/// let mut response = Response::new(());
/// *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
/// response.extensions_mut().insert(mark);
/// let serve = async move {
///     let _open = guard; // dropped when the WebSocket closes
///     // … messages …
/// };
/// # drop(serve);
/// ```
#[derive(Clone, Debug)]
pub struct LongLived {
    kind: &'static str,
    guarded: Option<Arc<Mutex<Held>>>,
}

/// The connections that a guard keeps open. Empty before the response reaches a layer; one for each layer that
/// it passes.
#[derive(Debug, Default)]
struct Held {
    guard_dropped: bool,
    connections: Vec<OpenConnection>,
}

impl LongLived {
    /// A GET event stream.
    pub(super) const EVENT_STREAM: Self = Self::new("event-stream");

    /// Creates a mark for a connection that is open until the response body ends or is dropped.
    ///
    /// It has no effect on an upgrade, whose request ends at the response head anyway: `http_connections_open` has no
    /// series for it. Use [`guarded`](Self::guarded) for upgrades.
    #[must_use]
    pub const fn new(kind: &'static str) -> Self {
        let guarded = None;
        Self { kind, guarded }
    }

    /// Creates a mark for a connection that is open until the guard is dropped, and the guard.
    ///
    /// If the guard is dropped before the layer reads the response head, the connection is not in the gauge.
    ///
    /// How the connection ended is not recorded, even if the task that serves it panics. Use an
    /// [`Operation`](crate::Operation) for that.
    pub fn guarded(kind: &'static str) -> (Self, ConnectionGuard) {
        let held = Arc::new(Mutex::new(Held::default()));
        let guarded = Some(Arc::clone(&held));
        (Self { kind, guarded }, ConnectionGuard { held })
    }

    pub(super) fn kind(&self) -> &'static str {
        self.kind
    }

    pub(super) fn is_guarded(&self) -> bool {
        self.guarded.is_some()
    }

    /// Opens a connection and moves it to the guard. A mark without a guard returns it, for the body to keep.
    pub(super) fn open(&self, series: SeriesRef<ConnectionSeries>) -> Option<OpenConnection> {
        let Some(held) = &self.guarded else {
            return Some(OpenConnection::open(series));
        };
        let mut held = lock(held);
        // The guard may be dropped before the response reaches the layer.
        if !held.guard_dropped {
            held.connections.push(OpenConnection::open(series));
        }
        None
    }
}

/// A guard that keeps a connection in `http_connections_open` until it is dropped; see
/// [`LongLived::guarded`].
#[derive(Debug)]
#[must_use = "the connection counts as closed when the guard is dropped"]
pub struct ConnectionGuard {
    held: Arc<Mutex<Held>>,
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        let mut held = lock(&self.held);
        held.guard_dropped = true;
        held.connections.clear();
    }
}

/// A response extension for an event stream that is the answer to one GET request, such as the progress of a job: it is
/// measured to its last byte.
///
/// Without this mark, it is a [GET event stream](crate#glossary), which is a [`LongLived`] connection however short it
/// is, unless the `size_hint` of its body is exact. The reason: a browser's `EventSource` sends GET, and its stream lasts
/// until the browser leaves. With the mark, the request is in progress until the end of the stream, which is part of
/// the duration. If the client leaves earlier, the body is aborted with the reason `dropped`.
///
/// | stream | mark |
/// |---|---|
/// | answers one request and then ends, such as the progress of a job: its length is a latency | [`FiniteStream`] |
/// | a subscription, even if the server ends it after a while and the client reopens it | none |
///
/// ```
/// # #[cfg(feature = "axum")] {
/// use std::convert::Infallible;
///
/// use axum::response::sse::{Event, Sse};
/// use axum::response::{Extension, IntoResponse};
/// use axum::{Router, routing::get};
/// use futures_util::stream;
/// use tower_prometheus::http::FiniteStream;
///
/// // The progress of a job: the stream ends with the job.
/// async fn progress() -> impl IntoResponse {
///     let events = ["50 %", "100 %"].map(|text| Ok::<_, Infallible>(Event::default().data(text)));
///     (Extension(FiniteStream), Sse::new(stream::iter(events)))
/// }
///
/// let app: Router = Router::new().route("/progress", get(progress));
/// # let _ = app;
/// # }
/// ```
///
/// On any other response, the mark has no effect: an event stream in response to another method is measured to its last
/// byte without it. If the response is also marked [`LongLived`], that mark takes precedence.
///
/// The default buckets of durations end at 10 seconds. If your streams last longer, set higher bounds with
/// [`duration_buckets`](crate::HttpMetrics::duration_buckets). The call replaces the default bounds: list them too, as
/// its example does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FiniteStream;

/// An open connection. It is in the gauge until it is dropped; then its lifetime is recorded.
pub(crate) struct OpenConnection {
    series: SeriesRef<ConnectionSeries>,
    opened: Instant,
}

impl OpenConnection {
    fn open(series: SeriesRef<ConnectionSeries>) -> Self {
        series.open();
        let opened = Instant::now();
        Self { series, opened }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.series.close(self.opened.elapsed_seconds());
    }
}

impl fmt::Debug for OpenConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenConnection")
    }
}
