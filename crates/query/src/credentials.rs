//! [`Credentials`]: who asks the upstream, known to nobody else.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use percent_encoding::percent_decode_str;

use crate::Error;

/// The value of an `Authorization` header. It prints as nothing.
#[derive(Clone)]
pub(super) struct Credentials(HeaderValue);

impl Credentials {
    pub(super) fn basic(user: &str, password: &str) -> Result<Self, Error> {
        if user.contains(':') {
            return Err(Error::new(
                "the user name of basic credentials must not contain a colon",
            ));
        }
        Self::from_text(&format!(
            "Basic {}",
            STANDARD.encode(format!("{user}:{password}"))
        ))
    }

    pub(super) fn bearer(token: &str) -> Result<Self, Error> {
        if token.is_empty() {
            return Err(Error::new("the bearer token is empty"));
        }
        Self::from_text(&format!("Bearer {token}"))
    }

    /// As in `user:password@`, percent-encoded as everything in a URL.
    pub(super) fn from_userinfo(userinfo: &str) -> Result<Self, Error> {
        let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
        Self::basic(&decoded(user)?, &decoded(password)?)
    }

    fn from_text(text: &str) -> Result<Self, Error> {
        let mut value = HeaderValue::from_str(text).map_err(|_| {
            Error::new("the credentials for the upstream have characters that no header can carry")
        })?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    pub(super) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

fn decoded(part: &str) -> Result<Cow<'_, str>, Error> {
    let text = percent_decode_str(part).decode_utf8();
    text.map_err(|_| Error::new("the credentials in the upstream's URL are not UTF-8"))
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}
