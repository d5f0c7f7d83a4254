//! [`MetricsHandler`]: answers `GET /metrics`, wherever it is mounted.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use tower_service::Service;

use super::run::Queue;
use super::{Page, Source};
use crate::exposition::{Encoding, Variant};
use crate::registry::Registry;

/// An extension of a response that is a metrics page: a layer then closes the request as if nothing
/// had been. [`MetricsHandler`] sets it; so can a handler of one's own.
#[derive(Clone, Copy, Debug)]
pub struct Scrape;

/// Serves the metrics page: a service for any request, that cannot fail.
///
/// Mount it with axum's `route_service`, in tonic's router, or call it from plain hyper. GET and HEAD
/// are answered, anything else gets a 405. The format is negotiated: text 0.0.4 by default, OpenMetrics
/// 1.0.0 or 0.0.1 for who prefers it, gzip (feature `gzip`) for who takes it and where it is worth it.
///
/// The numbers are read when the body is first polled, in turns of about 0.1 ms between which other
/// tasks run; scrapes that come at the same moment share one reading. Dropping a body half-way costs
/// nothing and disturbs no other scrape.
///
/// ```
/// # #[cfg(feature = "axum")] {
/// use axum::Router;
/// use tower_prometheus::Registry;
///
/// let registry = Registry::new();
/// let app: Router = Router::new().route_service("/metrics", registry.handler());
/// # let _ = app;
/// # }
/// ```
#[derive(Clone)]
pub struct MetricsHandler {
    queue: Arc<Queue>,
}

impl MetricsHandler {
    /// The handler of a registry, or of an exporter's handle.
    pub fn new(source: impl Into<Source>) -> Self {
        let queue = Arc::new(Queue::new(source.into().0));
        Self { queue }
    }

    fn answer<B>(&self, request: &Request<B>) -> Response<Page> {
        match *request.method() {
            Method::GET => self.page(request, |variant| self.queue.join(variant)),
            Method::HEAD => self.page(request, |_| Page::untold()),
            _ => not_allowed(),
        }
    }

    fn page<B>(&self, request: &Request<B>, body: impl FnOnce(Variant) -> Page) -> Response<Page> {
        let pages = self.queue.pages();
        let variant = Variant {
            format: pages.format(request.headers()),
            encoding: Encoding::negotiate(request.headers(), pages.is_worth_compressing()),
        };
        let mut response = Response::new(body(variant));
        response.extensions_mut().insert(Scrape);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, variant.format.content_type());
        headers.insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(encoding) = variant.encoding.content_encoding() {
            headers.insert(CONTENT_ENCODING, encoding);
        }
        response
    }
}

/// Not marked as a scrape, so it is measured like any other mistake of a client's.
fn not_allowed() -> Response<Page> {
    let mut response = Response::new(Page::empty());
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    let allowed = HeaderValue::from_static("GET, HEAD");
    response.headers_mut().insert(ALLOW, allowed);
    response
}

impl<B> Service<Request<B>> for MetricsHandler {
    type Response = Response<Page>;
    type Error = Infallible;
    type Future = ScrapeFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ScrapeFuture {
        ScrapeFuture {
            response: Some(self.answer(&request)),
        }
    }
}

/// The future of a [`MetricsHandler`].
#[derive(Debug)]
#[must_use = "futures do nothing unless they are polled"]
pub struct ScrapeFuture {
    response: Option<Response<Page>>,
}

impl Future for ScrapeFuture {
    type Output = Result<Response<Page>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        match self.response.take() {
            Some(response) => Poll::Ready(Ok(response)),
            None => Poll::Pending,
        }
    }
}

impl Registry {
    /// The service that shows this registry; see [`MetricsHandler`].
    pub fn handler(&self) -> MetricsHandler {
        MetricsHandler::new(self)
    }
}

impl fmt::Debug for MetricsHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsHandler").finish_non_exhaustive()
    }
}
