//! [`Page`]: the body of a scrape, which does the work as it is polled.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::run::{Run, Turn};
use crate::budget::Budget;
use crate::exposition::Variant;

/// The body of a metrics page.
///
/// It reads and renders in turns, yielding between them, so that a large page holds up no request on
/// the same thread.
#[derive(Debug)]
pub struct Page {
    content: Content,
}

#[derive(Debug)]
enum Content {
    /// Nothing, and known to be.
    Empty,
    /// What a HEAD request gets: nothing, of which a server must not say that it has length 0.
    Untold,
    Scraping(Scraping),
}

/// Where one scraper is in the run it shares.
#[derive(Debug)]
struct Scraping {
    run: Arc<Run>,
    variant: Variant,
    /// The next slice of the page to send.
    next: usize,
    budget: Budget,
}

impl Page {
    pub(super) fn empty() -> Self {
        let content = Content::Empty;
        Self { content }
    }

    pub(super) fn untold() -> Self {
        let content = Content::Untold;
        Self { content }
    }

    pub(super) fn of(run: Arc<Run>, variant: Variant) -> Self {
        let content = Content::Scraping(Scraping {
            run,
            variant,
            next: 0,
            budget: Budget::turn(),
        });
        Self { content }
    }
}

impl Scraping {
    fn poll_slice(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        match self.run.slice(self.variant, self.next, &mut self.budget) {
            Turn::Slice(slice) => {
                self.next += 1;
                Poll::Ready(Some(slice))
            }
            Turn::End => Poll::Ready(None),
            Turn::Over => {
                self.budget = Budget::turn();
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}

impl Body for Page {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Content::Scraping(scraping) = &mut self.content else {
            return Poll::Ready(None);
        };
        let slice = ready!(scraping.poll_slice(cx));
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
            Content::Untold | Content::Scraping(_) => SizeHint::default(),
        }
    }
}
