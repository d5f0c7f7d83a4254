//! The `endpoint` label: the route's template, never the path.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Extensions, Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

/// The endpoint of a request that no route matched, or whose route nobody told the layer.
pub(crate) const UNMATCHED: &str = "unmatched";
/// The endpoint of requests to endpoints beyond the layer's cap.
pub(crate) const OVERFLOW: &str = "overflow";

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
/// use tower_prometheus::Endpoint;
///
/// let mut response = Response::new("hello");
/// response.extensions_mut().insert(Endpoint::from_static("/hello"));
/// ```
#[derive(Clone)]
pub struct Endpoint(Name);

#[derive(Clone)]
enum Name {
    Static(&'static str),
    Shared(Arc<str>),
    #[cfg(feature = "axum")]
    Matched(axum::extract::MatchedPath),
}

impl Endpoint {
    /// An endpoint known when the program is written; costs nothing.
    #[must_use]
    pub const fn from_static(name: &'static str) -> Self {
        Self(Name::Static(name))
    }

    /// An endpoint known when the program starts: keep it, and clone it for each request.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(Name::Shared(name.into()))
    }

    /// The value of the label.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Name::Static(name) => name,
            Name::Shared(name) => name,
            #[cfg(feature = "axum")]
            Name::Matched(path) => path.as_str(),
        }
    }

    /// As [`endpoint_of_request`], to keep.
    fn of_request<B>(request: &Request<B>) -> Option<Self> {
        let extensions = request.extensions();
        let named = extensions.get::<Self>().cloned();
        #[cfg(feature = "axum")]
        let named = named.or_else(|| {
            let path = extensions.get::<axum::extract::MatchedPath>()?;
            Some(Self(Name::Matched(path.clone())))
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
pub(super) fn named_endpoint(extensions: &Extensions) -> Option<&str> {
    let named = extensions.get::<Endpoint>();
    named.map(Endpoint::as_str)
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Endpoint").field(&self.as_str()).finish()
    }
}

/// Tells a metrics layer further out which route matched.
///
/// axum tells the route to layers on a `Router` and inside it. A layer around the whole router, outside
/// a `nest_service` or outside a router that is another's fallback sees none. There, this layer goes
/// inside, where the route is known, and copies it into the response. A request that never gets a response
/// (cancelled, failed, panicked) stays `unmatched`, so a layer on the router is better where it can be had.
///
/// ```
/// # #[cfg(feature = "axum")] {
/// use axum::{Router, routing::get};
/// use tower::ServiceBuilder;
/// use tower_prometheus::{EndpointLayer, Registry};
///
/// let registry = Registry::new();
/// let router: Router = Router::new()
///     .route("/users/{id}", get(async || "ada"))
///     .layer(EndpointLayer::new());
/// let service = ServiceBuilder::new().layer(registry.http_layer()).service(router);
/// # let _ = service;
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct EndpointLayer(());

impl EndpointLayer {
    /// The layer.
    #[must_use]
    pub const fn new() -> Self {
        Self(())
    }
}

impl<S> Layer<S> for EndpointLayer {
    type Service = EndpointService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        EndpointService { inner }
    }
}

/// The service of an [`EndpointLayer`].
#[derive(Clone, Debug)]
pub struct EndpointService<S> {
    inner: S,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for EndpointService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = EndpointFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let endpoint = Endpoint::of_request(&request);
        EndpointFuture {
            inner: self.inner.call(request),
            endpoint,
        }
    }
}

pin_project! {
    /// The future of an [`EndpointService`].
    #[derive(Debug)]
    pub struct EndpointFuture<F> {
        #[pin]
        inner: F,
        endpoint: Option<Endpoint>,
    }
}

impl<F, ResBody, E> Future for EndpointFuture<F>
where
    F: Future<Output = Result<Response<ResBody>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(cx))?;
        let extensions = response.extensions_mut();
        // A name given further inside is closer to the truth.
        if let Some(endpoint) = this.endpoint.take()
            && extensions.get::<Endpoint>().is_none()
        {
            extensions.insert(endpoint);
        }
        Poll::Ready(Ok(response))
    }
}
