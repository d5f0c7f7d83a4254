//! [`LongLived`]: responses that start a long-lived connection, and the gauge of open connections.

use std::fmt;
use std::sync::{Arc, Mutex};

use crate::clock::Instant;
use crate::http::series::connection::ConnectionSeries;
use crate::sync::lock;

/// A response extension that marks the start of a long-lived connection.
///
/// Mark only responses that start a connection or an endless stream: the body of a marked response is not part
/// of the duration, its size is not recorded, and it is not counted as aborted if the client leaves.
///
/// The request ends at the response head, because the lifetime of a connection is not a latency: it is
/// counted, its duration is recorded, and it is no longer in progress. While the connection is open, it is
/// counted in `http_connections_open{endpoint,kind}`.
///
/// | | |
/// |---|---|
/// | counting starts | when the layer reads the response head |
/// | counting ends | when the response body ends or is dropped; with [`guarded`](Self::guarded), when the guard is dropped |
/// | the guard is dropped before the layer reads the response head | the connection is not counted; the series is exported as 0 |
/// | the response passes several layers | each counts the connection until the same end |
/// | its body returns an error or panics | it is also counted in `http_response_bodies_aborted_total` |
/// | the client leaves | the normal end of a connection, not an aborted body |
///
/// | response | mark | `kind` |
/// |---|---|---|
/// | `content-type: text/event-stream` to GET, if the `size_hint` of the body is not exact | not needed; [`FiniteStream`] opts out | `event-stream` |
/// | `text/event-stream` to another method, such as the answer of a language model to POST | it is a normal response, unless it is marked | that of the mark |
/// | any other endless body | [`LongLived::new`] | that of the mark |
/// | upgrade: 101, or a 2xx to CONNECT, also a WebSocket over HTTP/2 | [`LongLived::guarded`] | that of the mark |
///
/// An upgrade needs a guard, because the server drops its body at once and the layer cannot see the session. Without
/// a guard, its request ends correctly, and `http_connections_open` has no series for it.
///
/// Move the guard into the task that serves the connection. A WebSocket of axum (feature `ws`), over HTTP/1 or HTTP/2:
///
// Compiled in `tests/integration`, which has axum with the feature `ws`.
#[cfg_attr(not(doctest), doc = include_str!("long_lived_axum.md"))]
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
/// let session = async move {
///     let _open = guard;
///     // … the conversation …
/// };
/// # drop(session);
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
    /// An event stream that lasts until the client leaves.
    pub(super) const EVENT_STREAM: Self = Self::new("event-stream");

    /// Creates a mark for a connection that is open until the response body ends or is dropped.
    #[must_use]
    pub const fn new(kind: &'static str) -> Self {
        let guarded = None;
        Self { kind, guarded }
    }

    /// Creates a mark for a connection that is open until the guard is dropped, and the guard.
    ///
    /// If the guard is dropped before the layer reads the response head, the connection is not counted.
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
    pub(super) fn open(&self, series: &'static ConnectionSeries) -> Option<OpenConnection> {
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

/// A response extension for an event stream that ends: its response is measured to its last byte.
///
/// An event stream that answers GET counts as a [`LongLived`] connection, because a browser's `EventSource` sends
/// GET and its stream lasts until the browser leaves. If your stream ends by itself, mark it: the request is then in
/// progress until the end of the stream, which is part of the duration, and it is counted as aborted if the client
/// leaves earlier. Event streams that answer another method need no mark.
///
/// ```
/// use http::Response;
/// use tower_prometheus::http::FiniteStream;
///
/// let mut response = Response::new("data: the answer of a language model");
/// response.extensions_mut().insert(FiniteStream);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FiniteStream;

/// An open connection. It is counted in the gauge until it is dropped; then its lifetime is recorded.
pub(crate) struct OpenConnection {
    series: &'static ConnectionSeries,
    opened: Instant,
}

impl OpenConnection {
    fn open(series: &'static ConnectionSeries) -> Self {
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
