//! [`RequestHead`] and [`ResponseHead`]: the arguments of functions for labels, endpoints and exemplars.

use http::header::HOST;
use http::uri::Authority;
use http::{Extensions, HeaderMap, Method, Request, StatusCode, Uri, Version};

/// A request without its body, as passed to the functions of labels, endpoints and exemplars.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    method: &'a Method,
    uri: &'a Uri,
    version: Version,
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
}

impl<'a> RequestHead<'a> {
    pub(crate) fn new<B>(request: &'a Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            version: request.version(),
            headers: request.headers(),
            extensions: request.extensions(),
        }
    }

    /// Returns the method. It can be any token that the client sent.
    #[must_use]
    pub fn method(&self) -> &'a Method {
        self.method
    }

    /// Returns the URI. Its path is chosen by the client, so it is not suitable as an endpoint.
    #[must_use]
    pub fn uri(&self) -> &'a Uri {
        self.uri
    }

    /// Returns the HTTP version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Returns the headers.
    #[must_use]
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// Returns the extensions, which outer layers can set.
    #[must_use]
    pub fn extensions(&self) -> &'a Extensions {
        self.extensions
    }

    /// Returns the first header value of this name; `None` if it is absent or not visible ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns the host, without the port: of the URI, otherwise of the `host` header. So it is the same for HTTP/1
    /// and HTTP/2. An IPv6 address keeps its brackets.
    ///
    /// It is as the client wrote it: `LOCALHOST` and `localhost` differ. [`HttpLabel::host`](crate::http::HttpLabel::host)
    /// ignores case.
    #[must_use]
    pub fn host(&self) -> Option<&'a str> {
        let host = self.authority().map(|authority| split_port(authority).0)?;
        (!host.is_empty()).then_some(host)
    }

    /// Returns the port that the URI names, otherwise that of the `host` header. `None` if none is named, also if the
    /// scheme has a default port.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port_text()?.parse().ok()
    }

    pub(crate) fn port_text(&self) -> Option<&'a str> {
        let port = split_port(self.authority()?).1?;
        port.parse::<u16>().is_ok().then_some(port)
    }

    /// The host and the port, without user information.
    fn authority(&self) -> Option<&'a str> {
        let of_uri = self.uri.authority().map(Authority::as_str);
        let authority = of_uri.or_else(|| self.headers.get(HOST)?.to_str().ok())?;
        Some(
            authority
                .rsplit_once('@')
                .map_or(authority, |(_, host)| host),
        )
    }
}

/// Splits `host:port`. The colons of an IPv6 address are in brackets.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

/// A response without its body, as passed to the functions of labels.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'a> {
    status: StatusCode,
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
}

impl<'a> ResponseHead<'a> {
    #[inline]
    pub(crate) fn new(
        status: StatusCode,
        headers: &'a HeaderMap,
        extensions: &'a Extensions,
    ) -> Self {
        Self {
            status,
            headers,
            extensions,
        }
    }

    /// Returns the status code.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the headers.
    #[must_use]
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// Returns the extensions, which the service and inner layers can set.
    #[must_use]
    pub fn extensions(&self) -> &'a Extensions {
        self.extensions
    }

    /// Returns the first header value of this name; `None` if it is absent or not visible ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.get(name)?.to_str().ok()
    }
}
