//! [`LongLived`]: responses that begin something long, and the gauge of those that are open.

use std::fmt;
use std::sync::{Arc, Mutex};

use crate::sink::handles::InProgressHandle;
use crate::sync::lock;

/// Marks a response as the beginning of a long-lived connection, as an extension of it.
///
/// Such a request is counted, timed and no longer in progress at its head, because a connection's life
/// is not a latency; while it is open it is in `http_connections_open{endpoint,kind}`. Upgrades (101),
/// tunnels (CONNECT) and `text/event-stream` are recognised without a mark, as the kinds `upgrade`,
/// `connect` and `event-stream`.
///
/// A connection is open as long as the body of its response, or, for an upgrade, whose body ends at
/// once, as long as the guard from [`guarded`](Self::guarded):
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

/// What a guard holds open: nothing before the layers have seen the mark.
#[derive(Debug, Default)]
struct Held {
    gone: bool,
    connections: Vec<OpenConnection>,
}

impl LongLived {
    /// A connection of that kind, open as long as the response's body.
    #[must_use]
    pub const fn new(kind: &'static str) -> Self {
        let guarded = None;
        Self { kind, guarded }
    }

    /// A connection of that kind, open as long as the guard.
    pub fn guarded(kind: &'static str) -> (Self, ConnectionGuard) {
        let held = Arc::new(Mutex::new(Held::default()));
        let guarded = Some(Arc::clone(&held));
        (Self { kind, guarded }, ConnectionGuard { held })
    }

    pub(super) fn kind(&self) -> &'static str {
        self.kind
    }

    /// Gives a connection to the guard, or back if the body is to keep it.
    pub(super) fn keep(&self, connection: Option<OpenConnection>) -> Option<OpenConnection> {
        let Some(held) = &self.guarded else {
            return connection;
        };
        let mut held = lock(held);
        // A session may be over before the response has passed the layers.
        if !held.gone {
            held.connections.extend(connection);
        }
        None
    }
}

/// Keeps a connection in the gauge until it is dropped; see [`LongLived::guarded`].
#[derive(Debug)]
#[must_use = "the connection counts as closed when the guard is dropped"]
pub struct ConnectionGuard {
    held: Arc<Mutex<Held>>,
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        let mut held = lock(&self.held);
        held.gone = true;
        held.connections.clear();
    }
}

/// One connection in the gauge.
pub(crate) struct OpenConnection(&'static InProgressHandle);

impl OpenConnection {
    pub(super) fn open(gauge: &'static InProgressHandle) -> Self {
        gauge.begin();
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
