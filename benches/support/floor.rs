//! The floor: a minimal layer written by hand for the service of the benchmarks, to compare with.
//!
//! It looks up its series by endpoint, reads the clock twice, wraps the body, and has a guard that counts a request
//! however it ends. Its metrics are plain atomics that all threads share. [`Nothing`] is a wrapper that does none
//! of this.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower::Service;
use tower_prometheus::http::Endpoint;

#[cfg(feature = "quanta")]
use quanta::Instant;
#[cfg(not(feature = "quanta"))]
use std::time::Instant;

const BOUNDS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

#[derive(Default)]
pub struct Series {
    in_progress: AtomicI64,
    requests: [AtomicU64; 5],
    buckets: [AtomicU64; BOUNDS.len() + 1],
    sum: AtomicU64,
}

pub type Table = HashMap<&'static str, Series, foldhash::fast::RandomState>;

pub fn table(endpoints: &[&'static str]) -> &'static Table {
    let table = endpoints.iter().map(|name| (*name, Series::default()));
    Box::leak(Box::new(table.collect()))
}

pub fn counted(table: &Table) -> u64 {
    let counts = table.values().flat_map(|series| &series.requests);
    counts.map(|count| count.load(Ordering::Relaxed)).sum()
}

#[derive(Clone, Copy)]
pub struct Floor<S> {
    pub inner: S,
    pub table: &'static Table,
}

struct Guard {
    series: &'static Series,
    start: Instant,
    class: usize,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Self {
            series,
            start,
            class,
        } = self;
        let seconds = start.elapsed().as_secs_f64();
        series.requests[*class].fetch_add(1, Ordering::Relaxed);
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound);
        series.buckets[bucket.unwrap_or(BOUNDS.len())].fetch_add(1, Ordering::Relaxed);
        let add = |sum: u64| Some((f64::from_bits(sum) + seconds).to_bits());
        let _ = series
            .sum
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        series.in_progress.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<S, B> Service<Request<()>> for Floor<S>
where
    S: Service<Request<()>, Response = Response<B>>,
    B: Body,
{
    type Response = Response<FloorBody<B>>;
    type Error = S::Error;
    type Future = FloorFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let endpoint = request.extensions().get::<Endpoint>().unwrap();
        let series = &self.table[endpoint.as_str()];
        series.in_progress.fetch_add(1, Ordering::Relaxed);
        let guard = Some(Guard {
            series,
            start: Instant::now(),
            class: 0,
        });
        FloorFuture {
            inner: self.inner.call(request),
            guard,
        }
    }
}

pin_project! {
    pub struct FloorFuture<F> {
        #[pin]
        inner: F,
        guard: Option<Guard>,
    }
}

impl<F, B, E> Future for FloorFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<FloorBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.inner.poll(cx))?;
        let mut guard = this.guard.take();
        if let Some(guard) = &mut guard {
            guard.class = usize::from(response.status().as_u16() / 100 - 1);
        }
        Poll::Ready(Ok(response.map(|inner| FloorBody { inner, guard })))
    }
}

pin_project! {
    pub struct FloorBody<B> {
        #[pin]
        inner: B,
        guard: Option<Guard>,
    }
}

impl<B: Body> Body for FloorBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.inner.as_mut().poll_frame(cx));
        if frame.is_none() || this.inner.is_end_stream() {
            *this.guard = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A service that wraps future and body like [`Floor`], but records nothing.
#[derive(Clone, Copy)]
pub struct Nothing<S>(pub S);

impl<S, B> Service<Request<()>> for Nothing<S>
where
    S: Service<Request<()>, Response = Response<B>>,
    B: Body,
{
    type Response = Response<FloorBody<B>>;
    type Error = S::Error;
    type Future = FloorFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        FloorFuture {
            inner: self.0.call(request),
            guard: None,
        }
    }
}
