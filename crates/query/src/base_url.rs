//! [`BaseUrl`]: the base URL of the upstream.

use std::fmt;

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};

use crate::credentials::Credentials;
use crate::error::Error;

/// A validated base URL without credentials.
#[derive(Clone)]
pub(crate) struct BaseUrl {
    scheme: Scheme,
    authority: Authority,
    /// Without a trailing slash.
    path: String,
}

impl BaseUrl {
    /// Splits a URL into the base URL and its credentials.
    pub(crate) fn parse(url: &str) -> Result<(Self, Option<Credentials>), Error> {
        let url = url.trim();
        if url.contains('#') || url.contains('?') {
            return Err(invalid(
                "it must not have a query or a fragment; write ? and # in a password as %3F and %23",
            ));
        }
        let uri: Uri = url
            .parse()
            .map_err(|error| invalid("it cannot be parsed").with_source(error))?;
        let parts = uri.into_parts();
        let scheme = match parts.scheme {
            Some(scheme) if scheme == Scheme::HTTP || scheme == Scheme::HTTPS => scheme,
            _ => return Err(invalid("its scheme must be http or https")),
        };
        let authority = parts.authority.ok_or_else(no_host)?;
        let (authority, credentials) = split_credentials(&authority)?;
        if authority.host().is_empty() {
            return Err(no_host());
        }
        if authority.as_str() != authority.host() && authority.port_u16().is_none() {
            return Err(invalid("its port must be a number from 0 to 65535"));
        }
        let path = parts.path_and_query.as_ref().map_or("", PathAndQuery::path);
        let path = without_trailing_slash(path);
        // `http://ada:1/2@host` is parsed with the host `ada` and the path `/2@host`, which would be shown.
        if path.contains('@') {
            return Err(invalid(
                "its path must not contain @; write / in a password as %2F, and @ in a path as %40",
            ));
        }
        if has_dot_segment(path) {
            return Err(invalid("its path must not have a segment `.` or `..`"));
        }
        let url = Self {
            scheme,
            authority,
            path: path.to_owned(),
        };
        Ok((url, credentials))
    }

    pub(crate) fn is_https(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// Appends a path and query to the base path. Returns `None` if the URL is too long.
    pub(crate) fn join(&self, path_and_query: &str) -> Option<Uri> {
        self.with_path(&format!("{}{path_and_query}", self.path))
    }

    /// Replaces the base path. Returns `None` if the path is not valid or too long.
    pub(crate) fn with_path(&self, path_and_query: &str) -> Option<Uri> {
        let builder = Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone());
        builder.path_and_query(path_and_query).build().ok()
    }
}

pub(crate) fn without_trailing_slash(path: &str) -> &str {
    path.trim_end_matches('/')
}

/// Returns whether a segment is `.` or `..`, percent-encoded or not. A server could resolve it to another path.
pub(crate) fn has_dot_segment(path: &str) -> bool {
    path.split('/').any(|segment| {
        let decoded = segment.to_ascii_lowercase().replace("%2e", ".");
        decoded == "." || decoded == ".."
    })
}

fn split_credentials(authority: &Authority) -> Result<(Authority, Option<Credentials>), Error> {
    let Some((userinfo, host)) = authority.as_str().rsplit_once('@') else {
        return Ok((authority.clone(), None));
    };
    let host = host.parse().map_err(|error| no_host().with_source(error))?;
    let credentials = match userinfo {
        "" => None,
        userinfo => Some(Credentials::from_userinfo(userinfo)?),
    };
    Ok((host, credentials))
}

fn no_host() -> Error {
    invalid("it has no host")
}

/// Returns an error that does not quote the URL, because the URL may contain a password.
fn invalid(reason: &str) -> Error {
    Error::url(format!(
        "invalid upstream URL: {reason}; expected a URL such as http://victoriametrics:8428 or https://user:password@host/base/path"
    ))
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.path)
    }
}
