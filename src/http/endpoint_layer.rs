//! [`EndpointLayer`]: adds an endpoint to the response.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::http::labels::endpoint::Endpoint;

/// A layer that adds an [`Endpoint`] to each response: the matched route, or a given name. For a metrics layer that
/// does not see the route.
///
/// Prefer a metrics layer on the router if you can: with `EndpointLayer`, a request without a response
/// (cancelled, failed or panicked) is counted as `unmatched`, and the in-progress gauge counts requests as
/// `unmatched`.
///
/// In axum, a layer sees the matched route if it is added to the `Router` that has the route, or further in.
/// It does not see the route if it wraps the whole router, a `nest_service`, or a router that is the fallback
/// of another router. In these cases, add an `EndpointLayer` to the router that has the route. A service without routes,
/// such as tower-http's `ServeDir` in a `nest_service`, gets a name with [`EndpointLayer::named`].
///
/// ```
/// # #[cfg(feature = "axum")] {
/// use axum::{Router, routing::get};
/// use tower::ServiceBuilder;
/// use tower_prometheus::{http::EndpointLayer, Registry};
///
/// let registry = Registry::new();
/// let router: Router = Router::new()
///     .route("/users/{id}", get(async || "ada"))
///     .layer(EndpointLayer::new());
/// let service = ServiceBuilder::new().layer(registry.http_layer()).service(router);
/// # let _ = service;
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct EndpointLayer {
    name: Option<Endpoint>,
}

impl EndpointLayer {
    /// Creates a layer that adds the matched route of the request, or its [`Endpoint`] extension if it has one.
    #[must_use]
    pub const fn new() -> Self {
        Self { name: None }
    }

    /// Creates a layer that adds this name to each response, for a service without routes.
    ///
    /// ```
    /// # #[cfg(feature = "axum")] {
    /// use axum::Router;
    /// use tower::Layer;
    /// use tower_prometheus::{Registry, http::EndpointLayer};
    /// # let serve_dir = tower::service_fn(async |_: axum::extract::Request| {
    /// #     Ok::<_, std::convert::Infallible>(axum::response::Response::default())
    /// # });
    ///
    /// // `serve_dir` is tower_http::services::ServeDir::new("assets"), for example.
    /// let registry = Registry::new();
    /// let app: Router = Router::new()
    ///     .nest_service("/assets", EndpointLayer::named("/assets/*").layer(serve_dir))
    ///     .layer(registry.http_layer());
    /// # let _ = app;
    /// # }
    /// ```
    #[must_use]
    pub fn named(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: Some(Endpoint::new(name)),
        }
    }
}

impl<S> Layer<S> for EndpointLayer {
    type Service = EndpointService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let name = self.name.clone();
        EndpointService { inner, name }
    }
}

/// The service of an [`EndpointLayer`]: adds an [`Endpoint`](crate::http::Endpoint) to each response that has
/// none.
#[derive(Clone, Debug)]
pub struct EndpointService<S> {
    inner: S,
    name: Option<Endpoint>,
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
        let name = self.name.clone();
        let endpoint = name.or_else(|| Endpoint::of_request(&request));
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
        // An endpoint set by an inner layer or the handler is more specific.
        if let Some(endpoint) = this.endpoint.take()
            && extensions.get::<Endpoint>().is_none()
        {
            extensions.insert(endpoint);
        }
        Poll::Ready(Ok(response))
    }
}
