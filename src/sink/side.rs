//! [`Side`]: whether a layer is on a server or a client.

/// Whether a layer is on a server or a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Server,
    Client,
}
