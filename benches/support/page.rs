//! A scraper that polls the page as a server does.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use http::{Request, Response};
use http_body::Body;
use tower::Service;
use tower_prometheus::{MetricsHandler, scrape::MetricsBody};

#[derive(Clone, Copy, PartialEq)]
pub enum Encoding {
    Identity,
    Gzip,
}

#[derive(Default)]
pub struct Scraped {
    pub bytes: usize,
    /// The duration of the longest poll, during which no other task of this thread could run.
    pub longest_poll: Duration,
}

/// Starts a scrape. The body of the response is the page.
pub fn start_scrape(handler: &MetricsHandler, encoding: Encoding) -> Response<MetricsBody> {
    let mut request = Request::new(());
    if encoding == Encoding::Gzip {
        let gzip = http::HeaderValue::from_static("gzip");
        request.headers_mut().insert(ACCEPT_ENCODING, gzip);
    }
    let cx = &mut Context::from_waker(Waker::noop());
    let Poll::Ready(Ok(response)) = pin!(handler.clone().call(request)).poll(cx) else {
        panic!("the response head is always ready");
    };
    let is_gzip = response.headers().contains_key(CONTENT_ENCODING);
    assert_eq!(is_gzip, encoding == Encoding::Gzip);
    response
}

/// Reads a whole page and drops its slices, as if they were sent.
pub fn scrape(handler: &MetricsHandler, encoding: Encoding) -> Scraped {
    let mut scraped = Scraped::default();
    let mut body = Box::pin(start_scrape(handler, encoding).into_body());
    let cx = &mut Context::from_waker(Waker::noop());
    let mut poll_start = Instant::now();
    loop {
        let frame = body.as_mut().poll_frame(cx);
        match frame {
            Poll::Ready(Some(Ok(frame))) => {
                scraped.bytes += frame.data_ref().map_or(0, Bytes::remaining);
            }
            Poll::Ready(_) => break,
            Poll::Pending => {
                scraped.longest_poll = scraped.longest_poll.max(poll_start.elapsed());
                poll_start = Instant::now();
            }
        }
    }
    // Dropping the body also frees the values that were read for it.
    drop(body);
    scraped.longest_poll = scraped.longest_poll.max(poll_start.elapsed());
    scraped
}

/// Runs a future that never waits to its end.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let cx = &mut Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return output;
        }
    }
}
