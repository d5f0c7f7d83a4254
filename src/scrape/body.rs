//! [`MetricsBody`]: the response body of a scrape, which reads and renders the metrics when it is polled.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::budget::Budget;
use crate::exposition::negotiate::Variant;
use crate::registry::collectors::collection::{Collected, Collection};
use crate::scrape::run::{NextSlice, ScrapeRun};

/// The response body of a [`MetricsHandler`](crate::MetricsHandler).
///
/// Polling the body runs the collectors, then reads and renders the metrics. It yields after about 0.1 ms of work,
/// so that a large page or many collectors do not delay other requests on the same thread. Dropping the
/// body also drops the runs of collectors that no other scrape waits for.
#[derive(Debug)]
pub struct MetricsBody {
    content: Content,
}

#[derive(Debug)]
enum Content {
    /// An empty body of length 0.
    Empty,
    /// The body for a HEAD request: empty, but without a known length, so that the server does not send
    /// `content-length: 0`.
    Head,
    /// A short text, such as the reason of a failure.
    Text(Bytes),
    Scraping(Scraping),
}

/// The progress of one scrape in its run, which it may share with other scrapes.
#[derive(Debug)]
struct Scraping {
    run: Arc<ScrapeRun>,
    variant: Variant,
    /// The wait for the collectors; `None` without collectors, or when the wait is over.
    collection: Option<Collection>,
    collected: Collected,
    /// The index of the next slice to send.
    next: usize,
    budget: Budget,
}

impl MetricsBody {
    pub(crate) fn empty() -> Self {
        let content = Content::Empty;
        Self { content }
    }

    pub(crate) fn head() -> Self {
        let content = Content::Head;
        Self { content }
    }

    pub(crate) fn text(text: String) -> Self {
        let content = Content::Text(text.into());
        Self { content }
    }

    pub(crate) fn scraping(
        run: Arc<ScrapeRun>,
        variant: Variant,
        collection: Option<Collection>,
    ) -> Self {
        let content = Content::Scraping(Scraping {
            run,
            variant,
            collection,
            collected: Collected::default(),
            next: 0,
            budget: Budget::until_yield(),
        });
        Self { content }
    }

    /// Waits for the collectors. Returns the message of those that failed, or `None` if all succeeded.
    pub(crate) fn poll_failure(&mut self, cx: &mut Context<'_>) -> Poll<Option<String>> {
        let Content::Scraping(scraping) = &mut self.content else {
            return Poll::Ready(None);
        };
        ready!(scraping.poll_collected(cx));
        Poll::Ready(scraping.collected.failure())
    }
}

impl Scraping {
    fn poll_collected(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(collection) = &mut self.collection {
            match self.run.collect(collection, &mut self.budget, cx) {
                Poll::Ready(collected) => self.collected = collected,
                Poll::Pending => {
                    self.budget = Budget::until_yield();
                    return Poll::Pending;
                }
            }
            self.collection = None;
        }
        Poll::Ready(())
    }

    fn poll_slice(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        ready!(self.poll_collected(cx));
        let Self {
            run,
            variant,
            collected,
            next,
            budget,
            ..
        } = self;
        match run.slice(*variant, collected, *next, budget) {
            NextSlice::Slice(slice) => {
                self.next += 1;
                Poll::Ready(Some(slice))
            }
            NextSlice::End => Poll::Ready(None),
            NextSlice::Yield => {
                self.budget = Budget::until_yield();
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}

impl Body for MetricsBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let slice = match &mut self.content {
            Content::Empty | Content::Head => None,
            Content::Text(text) => {
                let text = std::mem::take(text);
                self.content = Content::Empty;
                Some(text)
            }
            Content::Scraping(scraping) => ready!(scraping.poll_slice(cx)),
        };
        if slice.is_none() {
            self.content = Content::Empty;
        }
        Poll::Ready(slice.map(|slice| Ok(Frame::data(slice))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.content, Content::Empty)
    }

    fn size_hint(&self) -> SizeHint {
        match self.content {
            Content::Empty => SizeHint::with_exact(0),
            Content::Text(ref text) => SizeHint::with_exact(text.len() as u64),
            Content::Head | Content::Scraping(_) => SizeHint::default(),
        }
    }
}
