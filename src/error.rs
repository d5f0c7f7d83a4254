//! [`Error`]: what can be wrong at start-up.

use std::fmt;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// An invalid configuration, found when a registry, a layer or a server is built.
///
/// The message names the setting, the value and what is allowed. Nothing that runs while a request is
/// served can fail.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Source>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ErrorKind {
    Invalid,
    Conflict,
    AlreadyInstalled,
}

impl Error {
    /// A setting is invalid.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Invalid,
            message: message.into(),
            source: None,
        }
    }

    /// Something of the same name exists in the registry.
    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Conflict,
            ..Self::new(message)
        }
    }

    /// A global recorder is installed already.
    pub(crate) fn already_installed(message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::AlreadyInstalled,
            ..Self::new(message)
        }
    }

    /// Adds the error that caused this one.
    pub(crate) fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// One error for several; the messages are separated by line feeds.
    pub(crate) fn all(mut errors: Vec<Self>) -> Option<Self> {
        if errors.len() < 2 {
            return errors.pop();
        }
        let messages: Vec<_> = errors.iter().map(|error| error.message.as_str()).collect();
        Some(Self::new(messages.join("\n")))
    }

    /// Whether the registry has a metric or a collector of the same name with another definition.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.kind == ErrorKind::Conflict
    }

    /// Whether a global recorder was installed before.
    #[must_use]
    pub fn is_already_installed(&self) -> bool {
        self.kind == ErrorKind::AlreadyInstalled
    }

    /// The I/O error behind this one, if there is one: an address in use, a missing permission.
    #[must_use]
    pub fn io_error(&self) -> Option<&std::io::Error> {
        self.source.as_deref()?.downcast_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let source = self.source.as_deref()?;
        Some(source)
    }
}

/// Returns what was built, or panics with the error: for functions that are documented to panic at start-up.
#[track_caller]
#[expect(
    clippy::panic,
    reason = "a mistake in the program, found when it starts"
)]
pub(crate) fn start_up<T>(built: Result<T, Error>) -> T {
    match built {
        Ok(built) => built,
        Err(error) => panic!("{error}"),
    }
}
