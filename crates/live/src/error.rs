//! [`Error`]: an invalid setting of a live page.

use std::fmt;

/// An invalid setting of a [`LivePage`](crate::LivePage).
///
/// The message names the setting and what is allowed, with a line for each mistake. It never contains the token.
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
