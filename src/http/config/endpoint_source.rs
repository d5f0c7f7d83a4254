//! [`EndpointSource`]: how a layer determines the endpoint of a request.

use std::fmt;
use std::sync::Arc;

use crate::error::Error;
use crate::http::config::closure::Closure;
use crate::http::labels::endpoint::{matched_route, named_endpoint};
use crate::http::labels::head::RequestHead;

pub(crate) type EndpointFn = dyn for<'a> Fn(RequestHead<'a>) -> Option<&'a str> + Send + Sync;

/// How a layer determines the endpoint of a request. The first of these that names an endpoint decides:
///
/// 1. an [`Endpoint`](crate::http::Endpoint) extension of the request
/// 2. the function, or the name of the only endpoint
/// 3. the extension that axum's router sets
/// 4. the patterns
#[derive(Clone, Default, PartialEq)]
pub(crate) struct EndpointSource {
    pub(crate) function: Option<EndpointFunction>,
    pub(crate) patterns: Option<Patterns>,
}

#[derive(Clone, PartialEq)]
pub(crate) enum EndpointFunction {
    Closure(Closure<EndpointFn>),
    /// The name of the only endpoint.
    Constant(String),
}

/// Route patterns, matched by path.
#[derive(Clone)]
pub(crate) struct Patterns {
    patterns: Vec<String>,
    router: matchit::Router<usize>,
}

impl EndpointSource {
    #[inline(never)]
    pub(crate) fn endpoint_of<'a>(&'a self, request: RequestHead<'a>) -> Option<&'a str> {
        let extensions = request.extensions();
        let function = self.function.as_ref();
        let patterns = self.patterns.as_ref();
        named_endpoint(extensions)
            .or_else(|| function.and_then(|function| function.endpoint_of(request)))
            .or_else(|| matched_route(extensions))
            .or_else(|| patterns.and_then(|patterns| patterns.matching(request.uri().path())))
    }

    /// Whether endpoints are read only from extensions.
    pub(crate) fn is_router(&self) -> bool {
        self.function.is_none() && self.patterns.is_none()
    }
}

impl EndpointFunction {
    pub(crate) fn closure<F>(function: F) -> Self
    where
        F: for<'a> Fn(RequestHead<'a>) -> Option<&'a str> + Send + Sync + 'static,
    {
        Self::Closure(Closure::of::<F>(Arc::new(function)))
    }

    fn endpoint_of<'a>(&'a self, request: RequestHead<'a>) -> Option<&'a str> {
        match self {
            Self::Closure(function) => function.get()(request),
            Self::Constant(name) => Some(name),
        }
    }
}

impl Patterns {
    pub(crate) fn new(patterns: Vec<String>) -> Result<Self, Error> {
        let mut router = matchit::Router::new();
        for (i, pattern) in patterns.iter().enumerate() {
            check_template("route_patterns", pattern)?;
            router.insert(pattern, i).map_err(|error| {
                Error::new(format!(
                    "route_patterns: invalid route pattern {pattern:?}: {error}"
                ))
            })?;
        }
        Ok(Self { patterns, router })
    }

    fn matching(&self, path: &str) -> Option<&str> {
        let matched = self.router.at(path).ok()?;
        self.patterns.get(*matched.value).map(String::as_str)
    }
}

/// Returns an error if `template` is not a path, or has parameters in the syntax of axum 0.7 and older.
pub(crate) fn check_template(setting: &str, template: &str) -> Result<(), Error> {
    let Some(path) = template.strip_prefix('/') else {
        return Err(Error::new(format!(
            "{setting}: a route template starts with \"/\", got {template:?}; write {:?}",
            format!("/{template}")
        )));
    };
    let old = |segment: &str| segment.len() > 1 && segment.starts_with([':', '*']);
    if !path.split('/').any(old) {
        return Ok(());
    }
    let segments = path
        .split('/')
        .map(|segment| match segment.split_at_checked(1) {
            Some((":", name)) if !name.is_empty() => format!("{{{name}}}"),
            Some(("*", name)) if !name.is_empty() => format!("{{*{name}}}"),
            _ => segment.to_owned(),
        });
    let written = segments.collect::<Vec<_>>().join("/");
    Err(Error::new(format!(
        "{setting}: parameters are written in braces, as in axum 0.8, got {template:?}; write {:?}",
        format!("/{written}")
    )))
}

impl PartialEq for Patterns {
    fn eq(&self, other: &Self) -> bool {
        self.patterns == other.patterns
    }
}

impl fmt::Debug for EndpointSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let function = self.function.as_ref().map(|function| match function {
            EndpointFunction::Closure(_) => "a closure",
            EndpointFunction::Constant(name) => name,
        });
        let patterns = self.patterns.as_ref().map(|patterns| &patterns.patterns);
        f.debug_struct("EndpointSource")
            .field("function", &function)
            .field("patterns", &patterns)
            .finish()
    }
}
