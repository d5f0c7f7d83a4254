//! [`MetricsHandler`]: the service that answers `GET /metrics`.

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

/// A service that serves the metrics page on any path.
///
/// It does not authenticate requests: any client that reaches the route can read the metrics. The
/// [securing guide](crate::_guide::securing) shows how to require a token.
///
/// Mount it with axum's `get` or `route_service`, in tonic's router, or call it from plain hyper. The service
/// never returns an error.
///
/// | request | response |
/// |---|---|
/// | `GET` | the metrics page |
/// | `HEAD` | the response head of the page, without reading the metrics |
/// | any other method | 405 Method Not Allowed |
///
/// Format and encoding are negotiated by `Accept` and `Accept-Encoding`:
///
/// | | default | if the client prefers it |
/// |---|---|---|
/// | format | text 0.0.4 | text 1.0.0, OpenMetrics 1.0.0 or 0.0.1, or protobuf (delimited `io.prometheus.client.MetricFamily`) |
/// | encoding | none | gzip (feature `gzip`), unless the page is too small for it to save a packet |
///
/// A client that accepts gzip and refuses uncompressed responses always gets gzip. If no format is
/// acceptable, the page is served as text 0.0.4.
///
/// Only protobuf has [native histograms](crate::NativeHistogram). Prometheus prefers it if native histograms are enabled.
/// Exemplars are in protobuf for scrapers that name an `escaping`, as Prometheus does from 3.0: Prometheus 2.42 hangs on
/// them.
///
/// Protobuf also has the time at which each series was registered; OpenMetrics has it with
/// [`created_lines`](crate::RegistryBuilder::created_lines). With it, Prometheus counts the first increments of a series, but
/// only if it is started with `--enable-feature=created-timestamp-zero-ingestion`, and ignores it otherwise:
///
/// | version of Prometheus | reads the times of |
/// |---|---|
/// | before 2.50 | nothing |
/// | 2.50 and later | counters, classic histograms and summaries in protobuf |
/// | 2.55 and later | those in OpenMetrics, too |
/// | 3.0 and later | native histograms, too |
///
/// With this flag, Prometheus also prefers protobuf, unless its configuration sets `scrape_protocols`.
///
/// Names are the same for all scrapers, unless the registry keeps [names that need
/// UTF-8](crate::RegistryBuilder::utf8_names).
///
/// # Concurrency
///
/// No task is spawned. When the body is polled, the collectors run first, then the metrics are read and rendered.
/// Reading and rendering yield after about 0.1 ms of work, so that other tasks can run.
///
/// Clones of a handler share their work: at most one run reads the metrics at a time, and all scrapes that arrive
/// during a run share the next one. Dropping a body before its end does not affect other scrapes.
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
    fails_on_collect_error: bool,
}

impl MetricsHandler {
    /// Creates a handler for a registry, or for a [page rendered by other code](PageSource::rendered).
    ///
    /// Handlers created separately do not share running scrapes; clones do.
    pub fn new(source: impl Into<PageSource>) -> Self {
        Self {
            queue: Arc::new(RunQueue::new(source.into().0)),
            scrape_timeout: Deadline::DEFAULT_TIMEOUT,
            fails_on_collect_error: false,
        }
    }

    /// Responds with 500 and the error messages if a collector fails.
    ///
    /// One failing collector then makes all metrics unavailable. By default, the page is served without the
    /// metrics of that collector.
    ///
    /// With this setting, the response head waits for the collectors. Name conflicts between collectors and other
    /// metrics are found only after the head: such a collector loses its metrics, but the scrape does not fail.
    #[must_use]
    pub fn fail_on_collect_error(mut self) -> Self {
        self.fails_on_collect_error = true;
        self
    }

    /// Sets the timeout of scrapes without the header `X-Prometheus-Scrape-Timeout-Seconds`.
    ///
    /// The default is 10 s, as in Prometheus; the maximum is 1 h. The timeout limits only how long a scrape waits
    /// for collectors, see [timeouts](crate::collect#timeouts).
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
            Method::HEAD => self.page(request, |_| MetricsBody::head()),
            _ => not_allowed(),
        }
    }

    /// Returns one scrape's wait for collectors, with a deadline from now; `None` without collectors.
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

/// Returns a 500 response. It is marked as a scrape, so layers do not measure it, because Prometheus itself
/// reports failed scrapes.
fn failed(reasons: String) -> Response<MetricsBody> {
    let mut response = text(StatusCode::INTERNAL_SERVER_ERROR, reasons);
    response.extensions_mut().insert(SkipMetrics);
    response
}

pub(crate) fn text(status: StatusCode, text: String) -> Response<MetricsBody> {
    let mut response = Response::new(MetricsBody::text(text));
    *response.status_mut() = status;
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, text);
    response
}

/// Returns a 405 response. It is not marked as a scrape, so layers measure it like any other client error.
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
            waits_for_collectors: self.fails_on_collect_error,
        }
    }
}

/// The response future of a [`MetricsHandler`].
#[derive(Debug)]
#[must_use = "futures do nothing unless they are polled"]
pub struct ScrapeFuture {
    response: Option<Response<MetricsBody>>,
    /// Whether the response head waits for the collectors, because a failed collector fails the scrape.
    waits_for_collectors: bool,
}

#[cfg(feature = "server")]
impl ScrapeFuture {
    pub(crate) fn of(response: Response<MetricsBody>) -> Self {
        Self {
            response: Some(response),
            waits_for_collectors: false,
        }
    }
}

impl Future for ScrapeFuture {
    type Output = Result<Response<MetricsBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self {
            response,
            waits_for_collectors,
        } = &mut *self;
        if *waits_for_collectors
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
    /// Creates a handler like [`Registry::handler`].
    fn from(registry: &Registry) -> Self {
        registry.handler()
    }
}

impl From<&MetricsHandler> for MetricsHandler {
    /// Clones the handler. The clone shares running scrapes with the original.
    fn from(handler: &MetricsHandler) -> Self {
        handler.clone()
    }
}

impl Registry {
    /// Returns a service that serves the metrics page of this registry; see [`MetricsHandler`].
    pub fn handler(&self) -> MetricsHandler {
        MetricsHandler::new(self)
    }
}

impl fmt::Debug for MetricsHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsHandler").finish_non_exhaustive()
    }
}
