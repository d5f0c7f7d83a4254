//! [`RequestBodyMetricsLayer`]: the layer that measures the bodies of requests too.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::Buf;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::clock::Instant;
use crate::error::Error;
use crate::http::config::http_metrics::WithRequestBody;
use crate::http::middleware::body::ResponseBody;
use crate::http::middleware::exchange::Exchange;
use crate::http::middleware::future::ResponseFuture;
use crate::http::middleware::nesting::Inside;
use crate::http::series::http::HttpSeries;
use crate::sink::Sink;

/// An [`HttpMetricsLayer`](super::HttpMetricsLayer) that measures the bodies of requests too.
///
/// The service inside gets a `Request<RequestBody<B>>`. Made by
/// [`WithRequestBody::build`].
#[derive(Clone, Copy)]
pub struct RequestBodyMetricsLayer {
    series: &'static HttpSeries,
}

impl WithRequestBody {
    /// Checks the configuration and builds the layer, as [`HttpMetrics::build`](crate::HttpMetrics::build) does.
    ///
    /// # Errors
    ///
    /// As [`HttpMetrics::build`](crate::HttpMetrics::build).
    pub fn build(self, sink: impl Into<Sink>) -> Result<RequestBodyMetricsLayer, Error> {
        let series = HttpSeries::shared(self.0.settings()?, &sink.into())?;
        Ok(RequestBodyMetricsLayer { series })
    }
}

impl<S> Layer<S> for RequestBodyMetricsLayer {
    type Service = RequestBodyMetricsService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let series = self.series;
        RequestBodyMetricsService { inner, series }
    }
}

/// The service of a [`RequestBodyMetricsLayer`].
#[derive(Clone)]
pub struct RequestBodyMetricsService<S> {
    inner: S,
    series: &'static HttpSeries,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for RequestBodyMetricsService<S>
where
    S: Service<Request<RequestBody<ReqBody>>, Response = Response<ResBody>>,
    ResBody: Body,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let mut exchange = Exchange::open(self.series, &request);
        let reading = Arc::new(BodyProgress::default());
        exchange.set_reading(Arc::clone(&reading));
        let request = request.map(|inner| RequestBody { inner, reading });
        let inside = Inside::enter(&mut exchange);
        let future = self.inner.call(request);
        inside.leave();
        ResponseFuture::new(future, exchange)
    }
}

/// How far a request's body has been read: shared by the body, which the service has, and the
/// exchange, which counts it at the end.
#[derive(Debug, Default)]
pub(super) struct BodyProgress {
    bytes: AtomicU64,
    first_look: OnceLock<Instant>,
    /// The seconds from the first look to the end.
    end: OnceLock<f64>,
}

impl BodyProgress {
    fn look(&self) {
        self.first_look.get_or_init(Instant::now);
    }

    fn end(&self) {
        if let Some(first_look) = self.first_look.get() {
            self.end.get_or_init(|| first_look.elapsed_seconds());
        }
    }

    /// Bytes and seconds so far; a body that nobody looked at took none.
    pub(super) fn measured(&self) -> (u64, f64) {
        self.end();
        let bytes = self.bytes.load(Ordering::Relaxed);
        (bytes, self.end.get().copied().unwrap_or(0.0))
    }
}

pin_project! {
    /// A request's body on its way in, whose bytes are counted as the service reads them.
    #[derive(Debug)]
    pub struct RequestBody<B> {
        #[pin]
        inner: B,
        reading: Arc<BodyProgress>,
    }
}

impl<B: Body> Body for RequestBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut this = self.project();
        this.reading.look();
        let polled = ready!(this.inner.as_mut().poll_frame(cx));
        match &polled {
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Buf::remaining) as u64;
                this.reading.bytes.fetch_add(bytes, Ordering::Relaxed);
                if this.inner.is_end_stream() {
                    this.reading.end();
                }
            }
            Some(Err(_)) | None => this.reading.end(),
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B: Default> Default for RequestBody<B> {
    /// A body that belongs to no request and is not measured: what extractors leave behind.
    fn default() -> Self {
        Self {
            inner: B::default(),
            reading: Arc::default(),
        }
    }
}

impl fmt::Debug for RequestBodyMetricsLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBodyMetricsLayer")
            .field("settings", &self.series.settings)
            .finish()
    }
}

impl<S: fmt::Debug> fmt::Debug for RequestBodyMetricsService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inner, series: _ } = self;
        f.debug_struct("RequestBodyMetricsService")
            .field("inner", inner)
            .finish_non_exhaustive()
    }
}
