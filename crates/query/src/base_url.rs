//! [`Address`]: where the upstream is, below which path.

use std::fmt;

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};

use super::credentials::Credentials;
use crate::Error;

/// A base URL, checked; without the credentials that may have been in it.
#[derive(Clone)]
pub(super) struct Address {
    scheme: Scheme,
    authority: Authority,
    /// Without a slash at its end.
    base: String,
}

impl Address {
    /// Splits a URL into where it goes and who asks. What it complains about does not quote the URL, which
    /// may hold a password.
    pub(super) fn parse(url: &str) -> Result<(Self, Option<Credentials>), Error> {
        let url = url.trim();
        if url.contains('#') || url.contains('?') {
            return Err(wrong("it has a query or a fragment"));
        }
        let uri: Uri = url.parse().map_err(|_| wrong("it is none"))?;
        let parts = uri.into_parts();
        let scheme = match parts.scheme {
            Some(scheme) if scheme == Scheme::HTTP || scheme == Scheme::HTTPS => scheme,
            _ => return Err(wrong("its scheme is not http or https")),
        };
        let authority = parts.authority.ok_or_else(|| wrong("it has no host"))?;
        let (authority, credentials) = without_credentials(&authority)?;
        if authority.host().is_empty() {
            return Err(wrong("it has no host"));
        }
        if authority.as_str() != authority.host() && authority.port_u16().is_none() {
            return Err(wrong("its port is no number up to 65535"));
        }
        let path = parts.path_and_query.as_ref().map_or("", PathAndQuery::path);
        let base = checked_path(path)?.to_owned();
        let address = Self {
            scheme,
            authority,
            base,
        };
        Ok((address, credentials))
    }

    pub(super) fn is_https(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// A path of the API, and its query, below the base path.
    pub(super) fn below(&self, path_and_query: &str) -> Option<Uri> {
        self.uri(&format!("{}{path_and_query}", self.base))
    }

    /// A path on the upstream's host, wherever the API is.
    pub(super) fn at(&self, path: &str) -> Option<Uri> {
        self.uri(path)
    }

    fn uri(&self, path_and_query: &str) -> Option<Uri> {
        let builder = Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone());
        builder.path_and_query(path_and_query).build().ok()
    }
}

/// A path without its last slash, if it stays where it is: no `.` or `..`, however they are written.
pub(super) fn checked_path(path: &str) -> Result<&str, Error> {
    let path = path.trim_end_matches('/');
    let climbs = |segment: &str| {
        let plain = segment.to_ascii_lowercase().replace("%2e", ".");
        plain == "." || plain == ".."
    };
    if path.split('/').any(climbs) {
        return Err(wrong("its path has a segment that is . or .."));
    }
    Ok(path)
}

fn without_credentials(authority: &Authority) -> Result<(Authority, Option<Credentials>), Error> {
    let Some((userinfo, host)) = authority.as_str().rsplit_once('@') else {
        return Ok((authority.clone(), None));
    };
    let host = host.parse().map_err(|_| wrong("it has no host"))?;
    Ok((host, Some(Credentials::from_userinfo(userinfo)?)))
}

fn wrong(what: &str) -> Error {
    Error::new(format!(
        "the upstream's URL cannot be used: {what}; it looks like http://victoriametrics:8428 or https://user:password@host/base/path"
    ))
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.base)
    }
}
