//! [`LongLived`]: responses that start a long-lived connection, and the gauge of open connections.

use std::fmt;
use std::sync::{Arc, Mutex};

use crate::sink::handles::InProgressHandle;
use crate::sync::lock;

/// A response extension that marks the start of a long-lived connection.
///
/// Mark only responses that start a connection or an endless stream: the body of a marked response is not part
/// of the duration, its size is not recorded, and it is never counted as aborted.
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
/// | at its end | never an aborted body |
///
/// These responses need no mark:
///
/// | response | `kind` |
/// |---|---|
/// | 2xx to CONNECT (tunnel) | `connect` |
/// | `content-type: text/event-stream`, if the `size_hint` of the body is not exact | `event-stream` |
///
/// An upgrade (101) without a mark has the kind `upgrade`. Its request ends correctly, but the gauge returns to 0 at once,
/// because the server drops the body of an upgrade. Therefore, mark it with a guard, and move the guard into the task
/// that serves the connection. A WebSocket of axum (feature `ws`):
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

    /// Moves a connection to the guard. A mark without a guard returns it, for the body to keep.
    pub(super) fn keep(&self, connection: Option<OpenConnection>) -> Option<OpenConnection> {
        let Some(held) = &self.guarded else {
            return connection;
        };
        let mut held = lock(held);
        // The guard may be dropped before the response reaches the layer.
        if !held.guard_dropped {
            held.connections.extend(connection);
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

/// An open connection. Increments the gauge when it is created and decrements it when it is dropped.
pub(crate) struct OpenConnection(&'static InProgressHandle);

impl OpenConnection {
    pub(super) fn open(gauge: &'static InProgressHandle) -> Self {
        gauge.start();
        Self(gauge)
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl fmt::Debug for OpenConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenConnection")
    }
}
