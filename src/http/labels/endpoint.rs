//! The `endpoint` label: the route template, never the path.

use std::fmt;
use std::sync::Arc;

use http::{Extensions, Request};

/// The endpoint of a request that no route matched, or whose route the layer does not see.
pub(crate) const UNMATCHED: &str = "unmatched";

/// The name of an endpoint, as an extension of a request or a response. Use a route template, never a path.
///
/// Paths would exhaust the limit: endpoints beyond [`max_endpoints`](crate::HttpMetrics::max_endpoints) are
/// recorded as `overflow`.
///
/// Set it if the layer does not see the matched route of a router, and [`route_patterns`](crate::HttpMetrics::route_patterns)
/// cannot name the endpoint from the path.
///
/// # How the endpoint is determined
///
/// The first of these that names an endpoint decides:
///
/// | | source | set by |
/// |---|---|---|
/// | 1 | an `Endpoint` extension of the response: for all metrics recorded from then on, such as count and duration. In progress keeps the endpoint known at the start, unless the request is the first with its endpoint, method and custom labels, and the inner service responds when it is first polled | the handler, or an [`EndpointLayer`](crate::http::EndpointLayer) inside the metrics layer |
/// | 2 | an `Endpoint` extension of the request, set before the request reaches the metrics layer | outer layers, callers of a client |
/// | 3 | the function or the constant of the configuration. A function that returns `None` leaves it to the next source | [`endpoint_fn`](crate::HttpMetrics::endpoint_fn), [`endpoint`](crate::HttpMetrics::endpoint) |
/// | 4 | axum's matched route | a `Router` of axum 0.8; [`EndpointLayer`](crate::http::EndpointLayer) lists when the metrics layer sees the route |
/// | 5 | the matching pattern of the configuration. A layer on a router uses it for requests that no route matched, or whose route it does not see | [`route_patterns`](crate::HttpMetrics::route_patterns) |
/// | 6 | `unmatched`; for clients and with OpenTelemetry's names, the empty string; or the word that [`Naming::unmatched`](crate::http::Naming::unmatched) sets | |
///
/// In an endpoint from the sources 2 to 5, the listed values of a
/// [kept parameter](crate::HttpMetrics::keep_parameter) then replace the parameter; source 1 is not changed. Beyond
/// [`max_endpoints`](crate::HttpMetrics::max_endpoints), the endpoint is `overflow`.
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
    /// Creates an endpoint from a string literal, without an allocation.
    #[must_use]
    pub const fn from_static(name: &'static str) -> Self {
        Self(EndpointName::Static(name))
    }

    /// Creates an endpoint from a string that is known at start-up. Keep it and clone it for each request.
    ///
    /// Creating it allocates; a clone only increments a reference count.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(EndpointName::Shared(name.into()))
    }

    /// Returns the name of the endpoint: the value of the label.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            EndpointName::Static(name) => name,
            EndpointName::Shared(name) => name,
            #[cfg(feature = "axum")]
            EndpointName::Matched(path) => path.as_str(),
        }
    }

    /// Like [`endpoint_of_request`], but owned.
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

/// The endpoint in the extensions: an [`Endpoint`], otherwise axum's matched route.
#[inline]
pub(crate) fn endpoint_of_request(extensions: &Extensions) -> Option<&str> {
    named_endpoint(extensions).or_else(|| matched_route(extensions))
}

/// The route that axum's router matched.
#[cfg(feature = "axum")]
#[inline]
pub(crate) fn matched_route(extensions: &Extensions) -> Option<&str> {
    let path = extensions.get::<axum::extract::MatchedPath>()?;
    Some(path.as_str())
}

#[cfg(not(feature = "axum"))]
#[inline]
pub(crate) fn matched_route(_: &Extensions) -> Option<&str> {
    None
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
