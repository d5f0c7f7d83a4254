//! [`Credentials`]: a user and password or a token for the upstream.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use percent_encoding::percent_decode_str;

use crate::error::Error;

/// The value of an `Authorization` header. `Debug` does not show it.
#[derive(Clone)]
pub(crate) struct Credentials(HeaderValue);

impl Credentials {
    pub(crate) fn basic(user: &str, password: &str) -> Result<Self, Error> {
        if user.contains(':') {
            return Err(Error::setting(
                "basic_auth: the user name must not contain a colon",
            ));
        }
        // RFC 7617 forbids control characters. Usually it is the trailing newline of a password read from a file.
        if user.chars().chain(password.chars()).any(char::is_control) {
            return Err(Error::setting(
                "basic_auth: user name and password must not contain control characters, such as a newline at the end",
            ));
        }
        let encoded = STANDARD.encode(format!("{user}:{password}"));
        Self::from_text("basic_auth", &format!("Basic {encoded}"))
    }

    pub(crate) fn bearer(token: &str) -> Result<Self, Error> {
        if token.is_empty() {
            return Err(Error::setting("bearer_auth: the token must not be empty"));
        }
        Self::from_text("bearer_auth", &format!("Bearer {token}"))
    }

    /// Parses `user:password` from a URL, both percent-encoded.
    pub(crate) fn from_userinfo(userinfo: &str) -> Result<Self, Error> {
        let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
        Self::basic(&decoded(user)?, &decoded(password)?)
    }

    fn from_text(setting: &str, text: &str) -> Result<Self, Error> {
        let mut value = HeaderValue::from_str(text).map_err(|error| {
            let message = format!(
                "{setting}: the credentials have characters that a header value cannot contain"
            );
            Error::setting(message).with_source(error)
        })?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    pub(crate) fn into_header(self) -> HeaderValue {
        self.0
    }
}

fn decoded(part: &str) -> Result<Cow<'_, str>, Error> {
    percent_decode_str(part).decode_utf8().map_err(|error| {
        Error::url("invalid upstream URL: its user name and password must be percent-encoded UTF-8")
            .with_source(error)
    })
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}
