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
/// The metrics layer reads the endpoint from the response. So the in-progress gauge, and requests without a response
/// (cancelled, failed or panicked), have the endpoint that is known without it, usually `unmatched`
/// ([an exception](Endpoint#how-the-endpoint-is-determined) is a first request that is answered at once). These settings
/// name the endpoint from the start of the request; prefer them, in this order:
///
/// | if | use |
/// |---|---|
/// | the metrics layer can be added to the router | `Router::layer` |
/// | the inner service has no routes, such as a `ServeDir` in a `nest_service`, and its path prefix is known | [`route_patterns(["/assets/{*path}"])`](crate::HttpMetrics::route_patterns) on the metrics layer, which can be the layer of a router |
/// | the metrics layer wraps a whole router, or the inner service is a router in a `nest_service` or a fallback; the routes are known | `route_patterns(["/v1/users", "/v1/users/{id}"])`: list the full template of each route. `/v1/{*path}` would be one endpoint for all of them |
/// | none of these | `EndpointLayer` |
///
/// Whether the metrics layer sees the route of an axum router:
///
/// | the metrics layer | sees the route |
/// |---|---|
/// | is added to the `Router` that has the route, or to the route itself | yes |
/// | is added to a router into which that router is nested with `nest`, or merged with `merge` | yes |
/// | wraps the whole router | no |
/// | is added to a router that has the other router as a `nest_service` or `fallback_service` | no |
///
/// In the last two cases, the first table decides between `route_patterns` and an `EndpointLayer`, which is added to the
/// router that has the route. A service without routes gets a name with [`EndpointLayer::named`].
///
/// [`keep_parameter`](crate::HttpMetrics::keep_parameter) has no effect on responses with an endpoint from this layer,
/// even if the metrics layer sees the route: `/{region}/orders` stays as it is. To keep values of a parameter, let the
/// metrics layer see the route, without an `EndpointLayer`, or use `route_patterns`.
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
    /// Creates a layer that adds the [`Endpoint`] extension of the request to the response, otherwise the matched route
    /// of the request.
    ///
    /// A response that already has an `Endpoint` keeps it.
    #[must_use]
    pub const fn new() -> Self {
        Self { name: None }
    }

    /// Creates a layer that adds this name to each response, for a service without routes.
    ///
    /// A response that already has an [`Endpoint`] keeps it. Requests that are in progress, or that end without a
    /// response, have the endpoint that is known without this layer: `unmatched`, or for the index page of a
    /// `nest_service` axum's route, such as `/assets/`.
    ///
    /// If the path prefix is known, prefer
    /// [`route_patterns(["/assets/{*path}"])`](crate::HttpMetrics::route_patterns) on the metrics layer, which can be the
    /// layer of a router: it names the endpoint from the start of the request. `EndpointLayer::named` is for one name for
    /// the files and the index page.
    ///
    /// Around a service that is the fallback of a router, all unknown paths have this name, whatever their status.
    ///
    /// ```
    /// # #[cfg(feature = "axum")] {
    /// use axum::Router;
    /// use tower::Layer;
    /// use tower_prometheus::{Registry, http::EndpointLayer};
    /// # let serve_dir = tower::service_fn(async |_: axum::extract::Request| {
    /// #     Ok::<axum::response::Response, std::convert::Infallible>(axum::response::Response::default())
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
