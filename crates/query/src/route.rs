//! [`Route`]: the endpoint of a request, and the value of its `endpoint` label.

use http::request::Parts;
use tower_prometheus::http::Endpoint;

/// An endpoint of the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    QueryRange,
    Services,
    Health,
}

impl Route {
    /// Returns the endpoint of a path, with or without the mount path as a prefix.
    pub(crate) fn find(path: &str, mount: &str) -> Option<Self> {
        let path = match path.strip_prefix(mount) {
            Some(below) if below.starts_with('/') => below,
            // The router may have stripped the mount path.
            _ => path,
        };
        match path {
            "/query_range" => Some(Self::QueryRange),
            "/services" => Some(Self::Services),
            "/health" => Some(Self::Health),
            _ => None,
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::QueryRange => "/query_range",
            Self::Services => "/services",
            Self::Health => "/health",
        }
    }

    /// Returns the `endpoint` label for the layer of tower-prometheus, unless the request already has an [`Endpoint`]
    /// extension.
    pub(crate) fn endpoint(self, request: &Parts, mount: &str) -> Option<Endpoint> {
        if request.extensions.get::<Endpoint>().is_some() {
            return None;
        }
        let mount = nested(request).unwrap_or(mount);
        if mount.is_empty() {
            return Some(Endpoint::from_static(self.path()));
        }
        Some(Endpoint::new(format!("{mount}{}", self.path())))
    }
}

/// Returns the route template at which axum nested the proxy.
#[cfg(feature = "axum")]
fn nested(request: &Parts) -> Option<&str> {
    let nested = request.extensions.get::<axum::extract::NestedPath>()?;
    Some(nested.as_str().trim_end_matches('/'))
}

#[cfg(not(feature = "axum"))]
fn nested(_: &Parts) -> Option<&str> {
    None
}
