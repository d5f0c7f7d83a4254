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
    /// The first characters of each text that must not be shown, see [`are_in`](Self::are_in).
    secrets: Vec<String>,
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
        let encoded = STANDARD.encode(format!("{user}:{password}"));
        Self::new(format!("Basic {encoded}"), &[&encoded, password])
    }

    pub(crate) fn bearer(token: &str) -> Result<Self, Error> {
        if token.is_empty() {
            return Err(Error::new("bearer token: must not be empty"));
        }
        Self::new(format!("Bearer {token}"), &[token])
    }

    /// Parses `user:password` from a URL, both percent-encoded.
    pub(crate) fn from_userinfo(userinfo: &str) -> Result<Self, Error> {
        let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
        Self::basic(&decoded(user)?, &decoded(password)?)
    }

    fn new(header: String, secrets: &[&str]) -> Result<Self, Error> {
        // Enough characters to recognize a secret, also if a response ends in the middle of it.
        const RECOGNIZED: usize = 8;
        let start = |secret: &str| secret.chars().take(RECOGNIZED).collect::<String>();
        let mut header = HeaderValue::try_from(header).map_err(|error| {
            let message =
                "bearer token: must not contain control characters, such as a newline at the end";
            Error::with_source(message, error)
        })?;
        header.set_sensitive(true);
        let secrets = secrets.iter().map(|secret| start(secret));
        Ok(Self {
            header,
            secrets: secrets.filter(|secret| !secret.is_empty()).collect(),
        })
    }

    pub(crate) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// Returns whether a text contains the credentials or their first 8 characters, as sent or decoded.
    ///
    /// Some proxies list the request's headers in error pages.
    pub(crate) fn are_in(&self, text: &str) -> bool {
        self.secrets.iter().any(|secret| text.contains(secret))
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
