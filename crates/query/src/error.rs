//! [`Error`]: an invalid configuration of a [`QueryProxy`](crate::QueryProxy).

use std::error::Error as StdError;
use std::fmt;

/// An invalid configuration, returned by [`QueryProxyBuilder::build`](crate::QueryProxyBuilder::build).
///
/// The message names the setting, what is wrong with it and what is allowed. Neither the message, `Debug` nor
/// [`source`](StdError::source) contains credentials. A running proxy returns no errors: it turns every
/// failure into a response.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ErrorKind {
    Url,
    Tls,
    Setting,
}

impl Error {
    /// Returns whether the upstream's URL is invalid: the one given to the builder, or the value of
    /// `VICTORIAMETRICS_URL`.
    #[must_use]
    pub fn is_url(&self) -> bool {
        self.kind == ErrorKind::Url
    }

    /// Returns whether TLS cannot be set up: the URL is `https` and the feature `tls` is off, the CA certificate is
    /// invalid, or the system has no CA certificates.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.kind == ErrorKind::Tls
    }

    pub(crate) fn url(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Url, message)
    }

    pub(crate) fn tls(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Tls, message)
    }

    pub(crate) fn setting(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Setting, message)
    }

    /// Adds the cause. Its `Display` and `Debug` must not contain a URL or a header value: both may be secret.
    pub(crate) fn with_source(self, source: impl StdError + Send + Sync + 'static) -> Self {
        Self {
            source: Some(Box::new(source)),
            ..self
        }
    }

    fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
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
        let source = self.source.as_deref()?;
        Some(source)
    }
}
