//! [`RequestBodyMetricsLayer`]: an HTTP layer that also measures request bodies.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::error::Error;
use crate::http::config::http_metrics::{WithErrorKind, WithRequestBody};
use crate::http::labels::abort_reason::BodyState;
use crate::http::middleware::body::ResponseBody;
use crate::http::middleware::body_progress::BodyProgress;
use crate::http::middleware::classify::{ClassifyError, ErrorKindFn, NoErrorKind};
use crate::http::middleware::exchange::HttpExchange;
use crate::http::middleware::future::ResponseFuture;
use crate::http::middleware::inside::Inside;
use crate::http::series::layer::LayerSeries;
use crate::lifecycle::body::Remaining;
use crate::sink::Sink;

/// A Tower layer like [`HttpMetricsLayer`](crate::HttpMetricsLayer) that also measures request bodies.
///
/// [`WithRequestBody::build`] builds it. The inner service gets a `Request<RequestBody<B>>`.
#[derive(Clone, Copy)]
pub struct RequestBodyMetricsLayer<K = NoErrorKind> {
    series: &'static LayerSeries,
    error_kind: K,
}

impl WithRequestBody {
    /// Checks the configuration and builds the layer, as [`HttpMetrics::build`](crate::HttpMetrics::build)
    /// does.
    ///
    /// # Errors
    ///
    /// The same as [`HttpMetrics::build`](crate::HttpMetrics::build).
    pub fn build(self, sink: impl Into<Sink>) -> Result<RequestBodyMetricsLayer, Error> {
        let series = LayerSeries::shared(self.0.settings()?, &sink.into())?;
        let error_kind = NoErrorKind;
        Ok(RequestBodyMetricsLayer { series, error_kind })
    }

    /// Builds a layer that records into the global recorder as soon as one is installed; see
    /// [`HttpMetrics::build_global`](crate::HttpMetrics::build_global).
    ///
    /// # Errors
    ///
    /// The same as [`HttpMetrics::build`](crate::HttpMetrics::build).
    pub fn build_global(self) -> Result<RequestBodyMetricsLayer, Error> {
        if let Some(sink) = Sink::installed() {
            return self.build(sink);
        }
        let series = LayerSeries::waiting(self.0.settings()?);
        let error_kind = NoErrorKind;
        Ok(RequestBodyMetricsLayer { series, error_kind })
    }
}

impl<F> WithErrorKind<WithRequestBody, F> {
    /// Checks the configuration and builds the layer, as [`HttpMetrics::build`](crate::HttpMetrics::build) does.
    ///
    /// # Errors
    ///
    /// The same as [`HttpMetrics::build`](crate::HttpMetrics::build).
    pub fn build(
        self,
        sink: impl Into<Sink>,
    ) -> Result<RequestBodyMetricsLayer<ErrorKindFn<F>>, Error> {
        let RequestBodyMetricsLayer { series, .. } = self.config.build(sink)?;
        let error_kind = ErrorKindFn(self.kind);
        Ok(RequestBodyMetricsLayer { series, error_kind })
    }

    /// Builds a layer that records into the global recorder as soon as one is installed; see
    /// [`HttpMetrics::build_global`](crate::HttpMetrics::build_global).
    ///
    /// # Errors
    ///
    /// The same as [`HttpMetrics::build`](crate::HttpMetrics::build).
    pub fn build_global(self) -> Result<RequestBodyMetricsLayer<ErrorKindFn<F>>, Error> {
        let RequestBodyMetricsLayer { series, .. } = self.config.build_global()?;
        let error_kind = ErrorKindFn(self.kind);
        Ok(RequestBodyMetricsLayer { series, error_kind })
    }
}

impl<S, K: Clone> Layer<S> for RequestBodyMetricsLayer<K> {
    type Service = RequestBodyMetricsService<S, K>;

    fn layer(&self, inner: S) -> Self::Service {
        RequestBodyMetricsService {
            inner,
            series: self.series,
            error_kind: self.error_kind.clone(),
        }
    }
}

/// The service of a [`RequestBodyMetricsLayer`].
#[derive(Clone)]
pub struct RequestBodyMetricsService<S, K = NoErrorKind> {
    inner: S,
    series: &'static LayerSeries,
    error_kind: K,
}

impl<S, K, ReqBody, ResBody> Service<Request<ReqBody>> for RequestBodyMetricsService<S, K>
where
    S: Service<Request<RequestBody<ReqBody>>, Response = Response<ResBody>>,
    ResBody: Body,
    K: ClassifyError<S::Error> + Clone,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, K>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let mut exchange = HttpExchange::start(self.series, &request);
        // A request that is not measured needs no allocation.
        let progress = exchange.is_live().then(Arc::<BodyProgress>::default);
        if let Some(progress) = &progress {
            exchange.set_body_progress(Arc::clone(progress));
        }
        let request = request.map(|inner| RequestBody::new(inner, progress));
        let inside = Inside::enter(&mut exchange);
        let future = self.inner.call(request);
        inside.leave();
        ResponseFuture::new(future, exchange, self.error_kind.clone())
    }
}

pin_project! {
    /// A request body that counts its bytes and measures its duration as the service reads it.
    #[derive(Debug)]
    pub struct RequestBody<B> {
        #[pin]
        inner: B,
        // Known once the body is polled.
        remaining: Option<Remaining>,
        // `None` if the request is not measured.
        progress: Option<Arc<BodyProgress>>,
    }
}

impl<B> RequestBody<B> {
    fn new(inner: B, progress: Option<Arc<BodyProgress>>) -> Self {
        Self {
            inner,
            remaining: None,
            progress,
        }
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
        let Some(progress) = this.progress else {
            return this.inner.poll_frame(cx);
        };
        progress.start();
        let announced = || Remaining::of(this.inner.size_hint().exact());
        let remaining = this.remaining.get_or_insert_with(announced);
        let polled = ready!(this.inner.as_mut().poll_frame(cx));
        match &polled {
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Buf::remaining) as u64;
                progress.pass(bytes);
                remaining.pass(bytes);
                // The reader may stop polling at any of these points.
                if frame.is_trailers() || remaining.is_nothing() || this.inner.is_end_stream() {
                    progress.end(BodyState::Complete);
                }
            }
            Some(Err(_)) => progress.end(BodyState::Failed),
            None => progress.end(BodyState::Complete),
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
    /// Creates a body that is not measured. Extractors that take the body out of a request leave such a body
    /// in its place.
    fn default() -> Self {
        Self {
            inner: B::default(),
            remaining: None,
            progress: None,
        }
    }
}

impl<K> fmt::Debug for RequestBodyMetricsLayer<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBodyMetricsLayer")
            .field("settings", &self.series.settings)
            .finish_non_exhaustive()
    }
}

impl<S: fmt::Debug, K> fmt::Debug for RequestBodyMetricsService<S, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBodyMetricsService")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
