//! The `endpoint` label: the route's template, never the path.

use std::fmt;
use std::sync::Arc;

use http::{Extensions, Request};

/// The endpoint of a request that no route matched, or whose route nobody told the layer.
pub(crate) const UNMATCHED: &str = "unmatched";

/// The name of an endpoint, for where no router tells it.
///
/// As an extension of a request it is the endpoint from the start. As an extension of a response it
/// names the endpoint afterwards: count and duration go to it, while the request in progress stayed
/// where it was known at the time.
///
/// Whoever names endpoints keeps their number bounded: a route's template, never a path. Past
/// [`max_endpoints`](crate::HttpMetrics::max_endpoints) they are counted as `overflow`.
///
/// ```
/// use http::Response;
/// use tower_prometheus::http::Endpoint;
///
/// let mut response = Response::new("hello");
/// response.extensions_mut().insert(Endpoint::from_static("/hello"));
/// ```
#[derive(Clone)]
pub struct Endpoint(EndpointName);

#[derive(Clone)]
enum EndpointName {
    Static(&'static str),
    Shared(Arc<str>),
    #[cfg(feature = "axum")]
    Matched(axum::extract::MatchedPath),
}

impl Endpoint {
    /// An endpoint known when the program is written; costs nothing.
    #[must_use]
    pub const fn from_static(name: &'static str) -> Self {
        Self(EndpointName::Static(name))
    }

    /// An endpoint known when the program starts: keep it, and clone it for each request.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(EndpointName::Shared(name.into()))
    }

    /// The value of the label.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            EndpointName::Static(name) => name,
            EndpointName::Shared(name) => name,
            #[cfg(feature = "axum")]
            EndpointName::Matched(path) => path.as_str(),
        }
    }

    /// As [`endpoint_of_request`], to keep.
    pub(crate) fn of_request<B>(request: &Request<B>) -> Option<Self> {
        let extensions = request.extensions();
        let named = extensions.get::<Self>().cloned();
        #[cfg(feature = "axum")]
        let named = named.or_else(|| {
            let path = extensions.get::<axum::extract::MatchedPath>()?;
            Some(Self(EndpointName::Matched(path.clone())))
        });
        named
    }
}

/// What the router or anyone else said about this request so far.
#[inline]
pub(crate) fn endpoint_of_request(extensions: &Extensions) -> Option<&str> {
    let named = named_endpoint(extensions);
    #[cfg(feature = "axum")]
    let named = named.or_else(|| {
        let path = extensions.get::<axum::extract::MatchedPath>()?;
        Some(path.as_str())
    });
    named
}

#[inline]
pub(crate) fn named_endpoint(extensions: &Extensions) -> Option<&str> {
    let named = extensions.get::<Endpoint>();
    named.map(Endpoint::as_str)
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Endpoint").field(&self.as_str()).finish()
    }
}
