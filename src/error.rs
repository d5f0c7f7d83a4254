//! [`Error`]: the error of an invalid configuration.

use std::fmt;
use std::ops::RangeInclusive;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// The error of an invalid configuration, returned when a registry, a layer or a server is built.
///
/// The message names the setting, the value and what is allowed, with a line for each mistake. Code that
/// runs while a request is served never returns it.
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
    /// Creates an error for an invalid setting.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Invalid,
            message: message.into(),
            source: None,
        }
    }

    /// Creates an error for a name that the registry already has.
    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Conflict,
            ..Self::new(message)
        }
    }

    /// Creates an error for a global recorder that is already installed.
    pub(crate) fn already_installed(message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::AlreadyInstalled,
            ..Self::new(message)
        }
    }

    /// Adds the error that caused this one.
    #[cfg(feature = "server")]
    pub(crate) fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Puts the name of the setting before the message.
    pub(crate) fn within(mut self, setting: &str) -> Self {
        self.message = format!("{setting}: {}", self.message);
        self
    }

    /// Returns `true` if the registry already has a metric with this name and another definition, or a
    /// collector with this name.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.kind == ErrorKind::Conflict
    }

    /// Returns `true` if a global recorder was already installed.
    #[must_use]
    pub fn is_already_installed(&self) -> bool {
        self.kind == ErrorKind::AlreadyInstalled
    }

    /// Returns `true` if a server cannot listen because another socket uses its address or port.
    #[must_use]
    pub fn is_address_in_use(&self) -> bool {
        let error = self.io_error();
        error.is_some_and(|error| error.kind() == std::io::ErrorKind::AddrInUse)
    }

    /// Returns the I/O error that caused this one, such as an address in use or a missing permission.
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

/// The errors found so far in a configuration. They are collected so that the user sees all of them at once.
#[derive(Debug, Default)]
pub(crate) struct Errors(Vec<Error>);

impl Errors {
    /// Adds the error of a check that failed.
    pub(crate) fn add<T>(&mut self, checked: Result<T, Error>) {
        self.0.extend(checked.err());
    }

    /// Adds an error if `number` is not in `allowed`.
    pub(crate) fn add_range(
        &mut self,
        setting: impl fmt::Display,
        number: usize,
        allowed: RangeInclusive<usize>,
    ) {
        if !allowed.contains(&number) {
            let (min, max) = allowed.into_inner();
            self.push(format!("{setting} must be {min} to {max}, got {number}"));
        }
    }

    pub(crate) fn push(&mut self, message: impl Into<String>) {
        self.0.push(Error::new(message));
    }

    /// Returns the only error, or one whose message has a line for each. `Ok` without errors.
    pub(crate) fn into_result(mut self) -> Result<(), Error> {
        if self.0.len() < 2 {
            return self.0.pop().map_or(Ok(()), Err);
        }
        let messages: Vec<_> = self.0.iter().map(|error| error.message.as_str()).collect();
        Err(Error::new(messages.join("\n")))
    }
}

impl Extend<Error> for Errors {
    fn extend<E: IntoIterator<Item = Error>>(&mut self, errors: E) {
        self.0.extend(errors);
    }
}

/// Returns the value or panics with the error. For functions that are documented to panic at start-up.
#[track_caller]
#[expect(clippy::panic, reason = "a programming error, found at start-up")]
pub(crate) fn start_up<T>(built: Result<T, Error>) -> T {
    match built {
        Ok(built) => built,
        Err(error) => panic!("{error}"),
    }
}
