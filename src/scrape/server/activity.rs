//! [`Activity`]: when something last happened on a connection, by which it is found to be idle.
//!
//! Bytes do not count, only what they come to: a whole request, a piece of a page taken. So a client that
//! sends its request a byte a minute is as idle as one that sends nothing, over HTTP/1 and HTTP/2.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::super::Page;
use crate::sync::lock;

#[derive(Clone, Debug)]
pub(super) struct Activity {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    /// Pages that wait for their collectors, which have deadlines of their own.
    waiting: usize,
    latest: Instant,
}

impl Activity {
    pub(super) fn begin() -> Self {
        let state = State {
            waiting: 0,
            latest: Instant::now(),
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Ready when nothing has happened for so long.
    pub(super) async fn idle(&self, timeout: Duration) {
        loop {
            let State { waiting, latest } = *lock(&self.state);
            let from = if waiting > 0 { Instant::now() } else { latest };
            if from.elapsed() >= timeout {
                return;
            }
            tokio::time::sleep_until(from + timeout).await;
        }
    }

    /// A request has become whole.
    pub(super) fn request(&self) -> Waiting {
        self.change(|state| state.waiting += 1);
        Waiting(self.clone())
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = lock(&self.state);
        state.latest = Instant::now();
        change(&mut state);
    }
}

/// A request that has nothing of its page yet.
#[derive(Debug)]
pub(super) struct Waiting(Activity);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.change(|state| state.waiting -= 1);
    }
}

/// A page that tells when something of it is taken.
#[derive(Debug)]
pub(super) struct Watched {
    page: Page,
    activity: Activity,
    waiting: Option<Waiting>,
}

impl Watched {
    pub(super) fn new(page: Page, waiting: Waiting) -> Self {
        Self {
            page,
            activity: waiting.0.clone(),
            waiting: Some(waiting),
        }
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.activity.change(|_| ());
        let polled = Pin::new(&mut self.page).poll_frame(cx);
        if polled.is_ready() {
            self.waiting = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.page.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.page.size_hint()
    }
}
