//! [`ErrorKind`]: why the inner service returned an error instead of a response.

use std::error::Error;
use std::fmt::{self, Write};
use std::io;

/// Why the inner service returned an error instead of a response: the value of the label `error_kind`.
///
/// [`HttpMetrics::with_error_kind`](crate::HttpMetrics::with_error_kind) turns the label on. With any other status
/// than `error`, the label is empty. With OpenTelemetry's names, the kind is a value of `error_type`, and the status is
/// empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ErrorKind(&'static str);

impl ErrorKind {
    /// `timeout`: a time limit expired.
    pub const TIMEOUT: Self = Self("timeout");
    /// `connect`: no connection was established, for another reason than DNS, TLS or a timeout.
    pub const CONNECT: Self = Self("connect");
    /// `dns`: the host name was not resolved.
    pub const DNS: Self = Self("dns");
    /// `tls`: the TLS handshake failed.
    pub const TLS: Self = Self("tls");
    /// `shed`: the service was overloaded and refused the request.
    pub const SHED: Self = Self("shed");
    /// `canceled`: the client library gave the request up before it was sent, for example because the connection was
    /// closed while the request was queued.
    ///
    /// | event | `status` | `error_kind` |
    /// |---|---|---|
    /// | the connection was closed before the request was sent | `error` | `canceled` |
    /// | the connection was closed after the request was sent, before the response | `error` | `other` |
    /// | the caller dropped the future | `cancelled` | empty |
    pub const CANCELED: Self = Self("canceled");
    /// `other`: any other error.
    pub const OTHER: Self = Self("other");

    pub(crate) const FIXED: [Self; 7] = [
        Self::TIMEOUT,
        Self::CONNECT,
        Self::DNS,
        Self::TLS,
        Self::SHED,
        Self::CANCELED,
        Self::OTHER,
    ];

    /// Creates a custom kind. Register it with [`HttpMetrics::error_kinds`](crate::HttpMetrics::error_kinds):
    /// kinds that are not registered are recorded as `other`.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// Returns the label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// Recognizes the kind of an error from the error and its sources.
    ///
    /// It knows the errors of std and, by their texts, those of hyper, hyper-util, reqwest, tonic, tower, tokio,
    /// rustls and OpenSSL. If several kinds apply, the first in this table is returned:
    ///
    /// | kind | for example |
    /// |---|---|
    /// | [`DNS`](Self::DNS) | `dns error`, `failed to lookup address information` |
    /// | [`TLS`](Self::TLS) | `invalid peer certificate`, `received fatal alert`, `tls handshake eof` |
    /// | [`TIMEOUT`](Self::TIMEOUT) | [`io::ErrorKind::TimedOut`], tower's and tokio's `Elapsed`, reqwest's and tonic's timeouts; also while connecting |
    /// | [`SHED`](Self::SHED) | tower's `Overloaded` |
    /// | [`CANCELED`](Self::CANCELED) | hyper's `operation was canceled` |
    /// | [`CONNECT`](Self::CONNECT) | [`io::ErrorKind::ConnectionRefused`], an unreachable host or network |
    /// | [`OTHER`](Self::OTHER) | anything else, such as a connection that is closed before the response |
    ///
    /// A timeout while connecting cannot be told from one while waiting for the response. A name that does not exist
    /// cannot be told from a name server that does not answer.
    ///
    /// Nothing is allocated, unless the error's `Display` allocates.
    #[must_use]
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        /// More than any library nests; ends the search in an error that is its own source.
        const MAX_SOURCES: usize = 16;
        let sources = std::iter::successors(Some(error), |error| inner(*error));
        sources
            .take(MAX_SOURCES)
            .filter_map(kind_of_one)
            .min_by_key(|kind| RANKED.iter().position(|ranked| ranked == kind))
            .unwrap_or(Self::OTHER)
    }
}

/// From the most to the least specific.
const RANKED: [ErrorKind; 6] = [
    ErrorKind::DNS,
    ErrorKind::TLS,
    ErrorKind::TIMEOUT,
    ErrorKind::SHED,
    ErrorKind::CANCELED,
    ErrorKind::CONNECT,
];

/// Parts of the texts of errors whose types this crate does not depend on.
const TEXTS: [(&str, ErrorKind); 19] = [
    ("dns error", ErrorKind::DNS),
    ("failed to lookup address", ErrorKind::DNS),
    ("invalid peer certificate", ErrorKind::TLS),
    ("received fatal alert", ErrorKind::TLS),
    ("tls handshake eof", ErrorKind::TLS),
    ("received corrupt message", ErrorKind::TLS),
    ("peer is incompatible", ErrorKind::TLS),
    ("peer misbehaved", ErrorKind::TLS),
    ("certificate verify failed", ErrorKind::TLS),
    ("SSL routines", ErrorKind::TLS),
    ("timed out", ErrorKind::TIMEOUT),
    ("deadline has elapsed", ErrorKind::TIMEOUT),
    ("Timeout expired", ErrorKind::TIMEOUT),
    ("service overloaded", ErrorKind::SHED),
    ("operation was canceled", ErrorKind::CANCELED),
    ("tcp connect error", ErrorKind::CONNECT),
    ("client error (Connect)", ErrorKind::CONNECT),
    ("Connection refused", ErrorKind::CONNECT),
    ("unreachable", ErrorKind::CONNECT),
];

fn inner<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    // The source of an `io::Error` is that of the error in it, which would be left out.
    let in_io = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    match in_io {
        Some(error) => Some(error),
        None => error.source(),
    }
}

fn kind_of_one(error: &(dyn Error + 'static)) -> Option<ErrorKind> {
    let of_io = error
        .downcast_ref::<io::Error>()
        .and_then(|error| kind_of_io(error.kind()));
    of_io.or_else(|| kind_of_text(error))
}

fn kind_of_io(kind: io::ErrorKind) -> Option<ErrorKind> {
    match kind {
        io::ErrorKind::TimedOut => Some(ErrorKind::TIMEOUT),
        io::ErrorKind::ConnectionRefused
        | io::ErrorKind::AddrNotAvailable
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable => Some(ErrorKind::CONNECT),
        _ => None,
    }
}

fn kind_of_text(error: &dyn Error) -> Option<ErrorKind> {
    let mut text = TextStart::default();
    // An error only says that the text is longer.
    let _ = write!(text, "{error}");
    let text = text.as_str();
    let known = TEXTS.iter().find(|(part, _)| text.contains(part));
    known.map(|(_, kind)| *kind)
}

/// The start of a text, formatted without an allocation.
struct TextStart {
    bytes: [u8; 256],
    len: usize,
}

impl Default for TextStart {
    fn default() -> Self {
        Self {
            bytes: [0; 256],
            len: 0,
        }
    }
}

impl TextStart {
    fn as_str(&self) -> &str {
        let bytes = &self.bytes[..self.len];
        match str::from_utf8(bytes) {
            Ok(text) => text,
            // The last character is cut.
            Err(error) => str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
        }
    }
}

impl Write for TextStart {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let free = &mut self.bytes[self.len..];
        let written = text.len().min(free.len());
        free[..written].copy_from_slice(&text.as_bytes()[..written]);
        self.len += written;
        match written == text.len() {
            true => Ok(()),
            false => Err(fmt::Error),
        }
    }
}
