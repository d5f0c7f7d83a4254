//! [`Error`]: a file cannot be generated or written.

use std::fmt;

/// An error of generating or writing a dashboard, a file of rules or a scrape configuration.
///
/// The message names the file or panel, what is wrong with it and what is allowed. The message already includes that of
/// the [`source`](std::error::Error::source), so print only one of them.
///
/// | cause | `source` | [`is_io`](Self::is_io) |
/// |---|---|---|
/// | a query, panel, rule or job is not valid | none | no |
/// | the configuration of a layer is not valid | [`tower_prometheus::Error`] | no |
/// | an existing dashboard is not JSON | the parser's error | no |
/// | a file cannot be written or read | [`std::io::Error`] | yes |
#[derive(Debug)]
pub struct Error {
    message: String,
    source: Option<Source>,
}

#[derive(Debug)]
enum Source {
    Core(tower_prometheus::Error),
    Io(std::io::Error),
    Format(Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            source: None,
        }
    }

    /// Returns an error for a file that cannot be written or read.
    pub(crate) fn io(what: impl fmt::Display, error: std::io::Error) -> Self {
        Self {
            message: format!("{what}: {error}"),
            source: Some(Source::Io(error)),
        }
    }

    /// Returns an error for a value that cannot be serialized or parsed.
    pub(crate) fn format(
        what: impl fmt::Display,
        error: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self {
            message: format!("{what}: {error}"),
            source: Some(Source::Format(Box::new(error))),
        }
    }

    /// Prepends the location of the error to its message, such as the panel.
    pub(crate) fn within(mut self, location: impl fmt::Display) -> Self {
        self.message = format!("{location}: {}", self.message);
        self
    }

    /// Returns `true` if a directory or file could not be written or read.
    ///
    /// Every other error is a mistake in the program: a retry returns the same error.
    #[must_use]
    pub fn is_io(&self) -> bool {
        matches!(self.source, Some(Source::Io(_)))
    }
}

/// The result of a check.
pub(crate) type Checked<T = ()> = Result<T, Error>;

/// Returns the error of a failed check.
pub(crate) fn problem<T>(message: impl Into<String>) -> Checked<T> {
    Err(Error::new(message))
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self.source.as_ref()? {
            Source::Core(error) => Some(error),
            Source::Io(error) => Some(error),
            Source::Format(error) => Some(&**error),
        }
    }
}

/// Converts the error of an invalid layer configuration.
impl From<tower_prometheus::Error> for Error {
    fn from(error: tower_prometheus::Error) -> Self {
        Self {
            message: error.to_string(),
            source: Some(Source::Core(error)),
        }
    }
}
