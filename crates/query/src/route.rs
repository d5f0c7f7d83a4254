//! [`Route`]: which endpoint is asked, and what it is called in the metrics.

use http::request::Parts;

use crate::Endpoint;

/// One of the proxy's endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    QueryRange,
    Services,
    Health,
}

impl Route {
    /// What a path below the mount is.
    pub(super) fn find(path: &str, mount: &str) -> Option<Self> {
        let path = match path.strip_prefix(mount) {
            Some(below) if below.starts_with('/') => below,
            // A router that strips the prefix leaves only what is below it.
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

    /// The endpoint's name for the layer that measures it, unless someone gave it one already.
    pub(super) fn endpoint(self, request: &Parts, mount: &str) -> Option<Endpoint> {
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

/// The template of the path at which axum nested the proxy.
#[cfg(feature = "axum")]
fn nested(request: &Parts) -> Option<&str> {
    let nested = request.extensions.get::<axum::extract::NestedPath>()?;
    Some(nested.as_str().trim_end_matches('/'))
}

#[cfg(not(feature = "axum"))]
fn nested(_: &Parts) -> Option<&str> {
    None
}
