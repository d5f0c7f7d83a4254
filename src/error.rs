//! [`Error`]: what can be wrong at start-up.

use std::fmt;

/// A configuration that cannot work, found when a registry or a layer is built.
///
/// Every error is for start-up: it says what was wrong and what is allowed. Nothing that runs while a
/// request is served can fail.
#[derive(Debug)]
pub struct Error {
    message: String,
}

impl Error {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// What was made, or a panic that says why not: for what is documented to panic at start-up.
#[track_caller]
#[expect(
    clippy::panic,
    reason = "a mistake in the program, found when it starts"
)]
pub(crate) fn start_up<T>(made: Result<T, Error>) -> T {
    match made {
        Ok(made) => made,
        Err(error) => panic!("{error}"),
    }
}
