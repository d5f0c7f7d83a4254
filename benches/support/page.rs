//! A scraper: reads a page as a server does, turn by turn.

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
    /// The longest time for which nothing else on this thread could have run.
    pub longest_turn: Duration,
}

/// The response of a scrape, whose body is the page.
pub fn ask_page(handler: &MetricsHandler, encoding: Encoding) -> Response<MetricsBody> {
    let mut request = Request::new(());
    if encoding == Encoding::Gzip {
        let gzip = http::HeaderValue::from_static("gzip");
        request.headers_mut().insert(ACCEPT_ENCODING, gzip);
    }
    let cx = &mut Context::from_waker(Waker::noop());
    let Poll::Ready(Ok(response)) = pin!(handler.clone().call(request)).poll(cx) else {
        panic!("the head is always ready");
    };
    let is_gzip = response.headers().contains_key(CONTENT_ENCODING);
    assert_eq!(is_gzip, encoding == Encoding::Gzip);
    response
}

/// A whole page, its slices dropped as if they were sent.
pub fn scrape(handler: &MetricsHandler, encoding: Encoding) -> Scraped {
    let mut scraped = Scraped::default();
    let mut body = Box::pin(ask_page(handler, encoding).into_body());
    let cx = &mut Context::from_waker(Waker::noop());
    let mut turn = Instant::now();
    loop {
        let frame = body.as_mut().poll_frame(cx);
        match frame {
            Poll::Ready(Some(Ok(frame))) => {
                scraped.bytes += frame.data_ref().map_or(0, Bytes::remaining);
            }
            Poll::Ready(_) => break,
            Poll::Pending => {
                scraped.longest_turn = scraped.longest_turn.max(turn.elapsed());
                turn = Instant::now();
            }
        }
    }
    // What was read for it goes with it.
    drop(body);
    scraped.longest_turn = scraped.longest_turn.max(turn.elapsed());
    scraped
}
