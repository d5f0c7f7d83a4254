//! [`Credentials`]: the value of the `Authorization` header.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use percent_encoding::percent_decode_str;

use crate::error::Error;

/// The value of an `Authorization` header. `Debug` does not show it.
#[derive(Clone)]
pub(crate) struct Credentials {
    header: HeaderValue,
    /// The value without the scheme: `user:password` in base64, or the token.
    secret: String,
}

impl Credentials {
    pub(crate) fn basic(user: &str, password: &str) -> Result<Self, Error> {
        if user.contains(':') {
            return Err(Error::new(
                "basic credentials: the user must not contain a colon",
            ));
        }
        // RFC 7617 forbids control characters. Usually it is the trailing newline of a password read from a file.
        if user.chars().chain(password.chars()).any(char::is_control) {
            return Err(Error::new(
                "basic credentials: user and password must not contain control characters, such as a newline at the end",
            ));
        }
        Self::new("Basic", STANDARD.encode(format!("{user}:{password}")))
    }

    pub(crate) fn bearer(token: &str) -> Result<Self, Error> {
        if token.is_empty() {
            return Err(Error::new("bearer token: must not be empty"));
        }
        Self::new("Bearer", token.to_owned())
    }

    /// Parses `user:password` from a URL, both percent-encoded.
    pub(crate) fn from_userinfo(userinfo: &str) -> Result<Self, Error> {
        let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
        Self::basic(&decoded(user)?, &decoded(password)?)
    }

    fn new(scheme: &str, secret: String) -> Result<Self, Error> {
        let header = HeaderValue::from_str(&format!("{scheme} {secret}"));
        let mut header = header.map_err(|error| {
            let message =
                "bearer token: must not contain control characters, such as a newline at the end";
            Error::with_source(message, error)
        })?;
        header.set_sensitive(true);
        Ok(Self { header, secret })
    }

    pub(crate) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// Returns whether a text contains the credentials. Some proxies list the request's headers in error pages.
    pub(crate) fn are_in(&self, text: &str) -> bool {
        text.contains(&self.secret)
    }
}

fn decoded(part: &str) -> Result<Cow<'_, str>, Error> {
    let text = percent_decode_str(part).decode_utf8();
    text.map_err(|_| Error::new("Pushgateway URL: user and password must be percent-encoded UTF-8"))
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}
