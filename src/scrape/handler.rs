//! [`MetricsHandler`]: answers `GET /metrics`, wherever it is mounted.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use tower_service::Service;

use crate::collect::deadline::Deadline;
use crate::exposition::negotiate::{Encoding, Variant};
use crate::http::labels::skip_metrics::SkipMetrics;
use crate::registry::Registry;
use crate::registry::collectors::collection::Collection;
use crate::scrape::body::MetricsBody;
use crate::scrape::run::RunQueue;
use crate::scrape::source::PageSource;

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
    queue: Arc<RunQueue>,
    scrape_timeout: Duration,
    fails: bool,
}

impl MetricsHandler {
    /// The handler of a registry, or of an exporter's handle.
    pub fn new(source: impl Into<PageSource>) -> Self {
        Self {
            queue: Arc::new(RunQueue::new(source.into().0)),
            scrape_timeout: Deadline::DEFAULT_TIMEOUT,
            fails: false,
        }
    }

    /// Answers a scrape with 500 and the reasons if a collector fails. By default the page is served without
    /// the metrics of that collector.
    ///
    /// The response head then waits for the collectors. A collector one of whose metrics has a name that is
    /// taken is found only later: its metrics are left out all the same.
    #[must_use]
    pub fn fail_on_collect_error(mut self) -> Self {
        self.fails = true;
        self
    }

    /// Sets the timeout of scrapes that do not send `X-Prometheus-Scrape-Timeout-Seconds`; 10 s by default, as
    /// in Prometheus.
    #[must_use]
    pub fn scrape_timeout(mut self, timeout: Duration) -> Self {
        self.scrape_timeout = timeout;
        self
    }

    fn answer<B>(&self, request: &Request<B>) -> Response<MetricsBody> {
        match *request.method() {
            Method::GET => self.page(request, |variant| {
                let collection = self.collection(request.headers());
                MetricsBody::scraping(self.queue.join(), variant, collection)
            }),
            Method::HEAD => self.page(request, |_| MetricsBody::untold()),
            _ => not_allowed(),
        }
    }

    /// What a scrape that starts now waits for, if there are collectors.
    fn collection(&self, headers: &HeaderMap) -> Option<Collection> {
        self.queue.source().collectors()?;
        let deadline = Deadline::of(headers, self.scrape_timeout);
        Some(Collection::new(deadline))
    }

    fn page<B>(
        &self,
        request: &Request<B>,
        body: impl FnOnce(Variant) -> MetricsBody,
    ) -> Response<MetricsBody> {
        let source = self.queue.source();
        let variant = Variant {
            format: source.format(request.headers()),
            encoding: Encoding::negotiate(request.headers(), source.is_worth_compressing()),
        };
        let mut response = Response::new(body(variant));
        response.extensions_mut().insert(SkipMetrics);
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

/// Still a scrape: it is Prometheus who counts those that fail.
fn failed(reasons: String) -> Response<MetricsBody> {
    let mut response = text(StatusCode::INTERNAL_SERVER_ERROR, reasons);
    response.extensions_mut().insert(SkipMetrics);
    response
}

/// A response for people.
pub(crate) fn text(status: StatusCode, text: String) -> Response<MetricsBody> {
    let mut response = Response::new(MetricsBody::reason(text));
    *response.status_mut() = status;
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, text);
    response
}

/// Not marked as a scrape, so it is measured like any other mistake of a client's.
fn not_allowed() -> Response<MetricsBody> {
    let mut response = Response::new(MetricsBody::empty());
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    let allowed = HeaderValue::from_static("GET, HEAD");
    response.headers_mut().insert(ALLOW, allowed);
    response
}

impl<B> Service<Request<B>> for MetricsHandler {
    type Response = Response<MetricsBody>;
    type Error = Infallible;
    type Future = ScrapeFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ScrapeFuture {
        ScrapeFuture {
            response: Some(self.answer(&request)),
            waits: self.fails,
        }
    }
}

/// The future of a [`MetricsHandler`].
#[derive(Debug)]
#[must_use = "futures do nothing unless they are polled"]
pub struct ScrapeFuture {
    response: Option<Response<MetricsBody>>,
    /// Whether a collector that fails makes the scrape fail, so that the head must wait for them.
    waits: bool,
}

#[cfg(feature = "server")]
impl ScrapeFuture {
    pub(crate) fn of(response: Response<MetricsBody>) -> Self {
        Self {
            response: Some(response),
            waits: false,
        }
    }
}

impl Future for ScrapeFuture {
    type Output = Result<Response<MetricsBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { response, waits } = &mut *self;
        if *waits
            && let Some(response) = response
            && let Some(reasons) = ready!(response.body_mut().poll_failure(cx))
        {
            *response = failed(reasons);
        }
        match response.take() {
            Some(response) => Poll::Ready(Ok(response)),
            None => Poll::Pending,
        }
    }
}

impl From<&Registry> for MetricsHandler {
    /// Returns [`Registry::handler`].
    fn from(registry: &Registry) -> Self {
        registry.handler()
    }
}

impl From<&MetricsHandler> for MetricsHandler {
    /// Returns a clone, which shares running scrapes with the original.
    fn from(handler: &MetricsHandler) -> Self {
        handler.clone()
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
