//! [`EndpointSource`]: how a layer determines the endpoint of a request.

use std::fmt;
use std::sync::Arc;

use crate::error::Error;
use crate::http::config::http_label::is_same_closure;
use crate::http::labels::endpoint::named_endpoint;
use crate::http::labels::head::RequestHead;

type EndpointFn = dyn for<'a> Fn(RequestHead<'a>) -> Option<&'a str> + Send + Sync;

/// How a layer determines endpoints. An [`Endpoint`](crate::http::Endpoint) extension takes precedence over
/// all variants.
#[derive(Clone, Default)]
pub(crate) enum EndpointSource {
    /// From the extension that axum's router sets.
    #[default]
    Router,
    Patterns(Patterns),
    Function(Arc<EndpointFn>),
    Fixed(String),
}

/// Route patterns, matched by path.
#[derive(Clone)]
pub(crate) struct Patterns {
    patterns: Vec<String>,
    router: matchit::Router<usize>,
}

impl EndpointSource {
    /// The endpoint of a request, from any source but the extension that axum's router sets.
    #[inline(never)]
    pub(crate) fn endpoint_of<'a>(&'a self, request: RequestHead<'a>) -> Option<&'a str> {
        let named = named_endpoint(request.extensions());
        named.or_else(|| match self {
            Self::Router => None,
            Self::Patterns(Patterns { patterns, router }) => {
                let matched = router.at(request.uri().path()).ok()?;
                patterns.get(*matched.value).map(String::as_str)
            }
            Self::Function(endpoint) => endpoint(request),
            Self::Fixed(name) => Some(name),
        })
    }

    /// Whether the layer depends on the router, so that it warns if no request has an endpoint.
    pub(crate) fn is_router(&self) -> bool {
        matches!(self, Self::Router)
    }
}

impl Patterns {
    pub(crate) fn new(patterns: Vec<String>) -> Result<Self, Error> {
        let mut router = matchit::Router::new();
        for (i, pattern) in patterns.iter().enumerate() {
            router.insert(pattern, i).map_err(|error| {
                Error::new(format!(
                    "route_patterns: invalid route pattern {pattern:?}: {error}"
                ))
            })?;
        }
        Ok(Self { patterns, router })
    }
}

impl PartialEq for EndpointSource {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Router, Self::Router) => true,
            (Self::Patterns(one), Self::Patterns(other)) => one.patterns == other.patterns,
            (Self::Function(one), Self::Function(other)) => is_same_closure(Some(one), Some(other)),
            (Self::Fixed(one), Self::Fixed(other)) => one == other,
            _ => false,
        }
    }
}

impl fmt::Debug for EndpointSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Router => f.write_str("Router"),
            Self::Patterns(patterns) => {
                f.debug_tuple("Patterns").field(&patterns.patterns).finish()
            }
            Self::Function(_) => f.write_str("Function"),
            Self::Fixed(name) => f.debug_tuple("Fixed").field(name).finish(),
        }
    }
}
