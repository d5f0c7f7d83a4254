//! [`Address`]: the base URL of the Pushgateway.

use std::fmt;

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};

use crate::credentials::Credentials;
use crate::error::Error;

/// A validated base URL without credentials, so that errors and logs can show it.
#[derive(Clone)]
pub(crate) struct Address {
    scheme: Scheme,
    authority: Authority,
    /// Without a trailing slash.
    path: String,
}

impl Address {
    /// Splits a URL into the address and its credentials.
    pub(crate) fn parse(url: &str) -> Result<(Self, Option<Credentials>), Error> {
        let url = url.trim();
        // `http::Uri` drops everything after a `#`, so `http://ada:1#2@host` would be parsed with the host `ada`.
        if url.contains(['?', '#']) {
            return Err(wrong(
                "must not have a query or a fragment; write ? and # in a password as %3F and %23",
            ));
        }
        let uri: Uri = url.parse().map_err(|error| {
            let message = format!("Pushgateway URL: cannot be parsed; {EXAMPLES}");
            Error::with_source(message, error)
        })?;
        let parts = uri.into_parts();
        let scheme = match parts.scheme {
            Some(scheme) if scheme == Scheme::HTTP || scheme == Scheme::HTTPS => scheme,
            _ => return Err(wrong("must start with http:// or https://")),
        };
        let authority = parts.authority.ok_or_else(|| wrong("has no host"))?;
        let (authority, credentials) = without_credentials(authority)?;
        if authority.host().is_empty() {
            return Err(wrong("has no host"));
        }
        if authority.as_str() != authority.host() && authority.port_u16().is_none() {
            return Err(wrong("the port must be a number up to 65535"));
        }
        let path = parts.path_and_query.as_ref().map_or("", PathAndQuery::path);
        // `http://ada:1/2@host` is parsed with the host `ada` and the path `/2@host`, which would be shown.
        if path.contains('@') {
            return Err(wrong(
                "the path must not contain @; write / in a password as %2F, and @ in a path as %40",
            ));
        }
        if has_dot_segment(path) {
            return Err(wrong("the path must not have a segment `.` or `..`"));
        }
        let path = path.trim_end_matches('/').to_owned();
        let address = Self {
            scheme,
            authority,
            path,
        };
        Ok((address, credentials))
    }

    pub(crate) fn is_https(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// Appends a path to the base path. Fails if the URL is too long.
    pub(crate) fn join(&self, path: &str) -> Result<Uri, http::Error> {
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(format!("{}{path}", self.path))
            .build()
    }
}

/// Returns whether a segment is `.` or `..`, percent-encoded or not. A server could resolve it to another path.
fn has_dot_segment(path: &str) -> bool {
    path.split('/').any(|segment| {
        let decoded = segment.to_ascii_lowercase().replace("%2e", ".");
        decoded == "." || decoded == ".."
    })
}

fn without_credentials(authority: Authority) -> Result<(Authority, Option<Credentials>), Error> {
    let Some((userinfo, host)) = authority.as_str().rsplit_once('@') else {
        return Ok((authority, None));
    };
    let credentials = match userinfo {
        "" => None,
        userinfo => Some(Credentials::from_userinfo(userinfo)?),
    };
    let host = host.parse().map_err(|_| wrong("has no host"))?;
    Ok((host, credentials))
}

const EXAMPLES: &str =
    "examples: http://pushgateway:9091, https://user:password@example.org/pushgateway";

fn wrong(what: &str) -> Error {
    Error::new(format!("Pushgateway URL: {what}; {EXAMPLES}"))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.path)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
