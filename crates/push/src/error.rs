//! [`Error`]: an invalid configuration. [`PushError`]: a failed push.

use std::error::Error as StdError;
use std::fmt;

use http::StatusCode;

pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

/// An invalid setting of a [`PushGateway`](crate::PushGateway) or a [`Connector`](crate::Connector).
///
/// The message names the setting and what is allowed. It never contains the URL, which may include a password.
#[derive(Debug)]
pub struct Error {
    message: String,
    source: Option<BoxError>,
}

impl Error {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            source: None,
        }
    }

    pub(crate) fn with_source(message: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self {
            message: message.into(),
            source: Some(source.into()),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        source(self.source.as_ref())
    }
}

/// The error of a push or a deletion, after all retries.
///
/// The message contains the Pushgateway's URL without credentials and, if it responded, the start of the response (at most
/// 4 KiB). If gathering failed, the message contains the errors of the collectors instead.
///
/// [`source`](StdError::source) returns the cause. Its chain of sources contains the [`std::io::Error`] of a connection that
/// was refused or broke.
///
/// | predicate | cause | retried |
/// |---|---|---|
/// | [`is_connect`](Self::is_connect) | no connection: unknown host, refused, not accepted within 5 s, TLS | yes |
/// | [`is_timeout`](Self::is_timeout) | no response within 10 s | yes |
/// | [`is_rejected`](Self::is_rejected) | a response that is neither 2xx nor 5xx | no |
/// | [`is_gather`](Self::is_gather) | a collector failed, and the handler is set to [`fail_on_collect_error`]; nothing was sent | no |
/// | [`is_label_conflict`](Self::is_label_conflict) | a metric has a label that is also a grouping label; nothing was sent | no |
/// | none, with a [`status`](Self::status) | a 5xx response | yes |
/// | none, without a status | the connection broke, or the response is not HTTP | yes |
///
/// [`fail_on_collect_error`]: tower_prometheus::MetricsHandler::fail_on_collect_error
#[derive(Debug)]
pub struct PushError {
    message: String,
    cause: Cause,
    source: Option<BoxError>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Gather,
    LabelConflict,
    Connect,
    /// The connection broke, or the response is not HTTP.
    InvalidResponse,
    Timeout,
    Status(StatusCode),
}

impl PushError {
    pub(crate) fn new(cause: Cause, message: String) -> Self {
        Self {
            message,
            cause,
            source: None,
        }
    }

    pub(crate) fn with_source(cause: Cause, message: String, source: impl Into<BoxError>) -> Self {
        Self {
            message,
            cause,
            source: Some(source.into()),
        }
    }

    /// Returns the status of the Pushgateway's response, or `None` if it sent no valid response.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        match self.cause {
            Cause::Status(status) => Some(status),
            _ => None,
        }
    }

    /// Returns whether no connection to the Pushgateway could be established.
    #[must_use]
    pub fn is_connect(&self) -> bool {
        self.cause == Cause::Connect
    }

    /// Returns whether the Pushgateway did not respond within 10 s.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.cause == Cause::Timeout
    }

    /// Returns whether the Pushgateway rejected the request: its [`status`](Self::status) is neither 2xx nor 5xx.
    ///
    /// Such a request is not retried, because it would be rejected again.
    #[must_use]
    pub fn is_rejected(&self) -> bool {
        self.status()
            .is_some_and(|status| !status.is_server_error())
    }

    /// Returns whether the metrics could not be gathered, so that nothing was sent.
    #[must_use]
    pub fn is_gather(&self) -> bool {
        self.cause == Cause::Gather
    }

    /// Returns whether a metric has a label that is also a grouping label, so that nothing was sent.
    ///
    /// The Pushgateway would overwrite the label's values with that of the grouping label.
    #[must_use]
    pub fn is_label_conflict(&self) -> bool {
        self.cause == Cause::LabelConflict
    }

    /// Returns whether a retry can succeed.
    pub(crate) fn is_transient(&self) -> bool {
        match self.cause {
            Cause::Connect | Cause::InvalidResponse | Cause::Timeout => true,
            Cause::Status(status) => status.is_server_error(),
            Cause::Gather | Cause::LabelConflict => false,
        }
    }
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for PushError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        source(self.source.as_ref())
    }
}

fn source(source: Option<&BoxError>) -> Option<&(dyn StdError + 'static)> {
    let source = source?.as_ref();
    Some(source)
}
