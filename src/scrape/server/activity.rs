//! [`Activity`]: detects idle connections by the time of their last activity.
//!
//! Activity is a complete request, or a frame of a response that the connection takes. Single bytes of a request do not
//! count: over HTTP/1 and HTTP/2, a connection is also idle if its client sends one byte per minute.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::scrape::body::MetricsBody;
use crate::scrape::server::nested::{BoxError, NestedBody};
use crate::sync::lock;

/// The activity of one connection. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Activity {
    state: Arc<Mutex<ActivityState>>,
}

#[derive(Debug)]
struct ActivityState {
    /// The number of scrapes without any part of their page yet. While there are some, the connection is not idle,
    /// because collectors have their own deadline. Other services have none.
    waiting: usize,
    latest: Instant,
}

impl Activity {
    pub(super) fn start() -> Self {
        let state = ActivityState {
            waiting: 0,
            latest: Instant::now(),
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Waits until the connection has been idle for `timeout`.
    pub(super) async fn idle(&self, timeout: Duration) {
        loop {
            let ActivityState { waiting, latest } = *lock(&self.state);
            let from = if waiting > 0 { Instant::now() } else { latest };
            if from.elapsed() >= timeout {
                return;
            }
            tokio::time::sleep_until(from + timeout).await;
        }
    }

    /// Records a complete request, or a frame of a response.
    pub(super) fn record(&self) {
        self.change(|_| ());
    }

    /// Records a scrape. The connection is not idle until the returned guard is dropped.
    pub(super) fn scrape(&self) -> PendingPage {
        self.change(|state| state.waiting += 1);
        PendingPage(self.clone())
    }

    fn change(&self, change: impl FnOnce(&mut ActivityState)) {
        let mut state = lock(&self.state);
        state.latest = Instant::now();
        change(&mut state);
    }
}

/// A guard for a scrape without any part of its page yet.
#[derive(Debug)]
pub(super) struct PendingPage(Activity);

impl Drop for PendingPage {
    fn drop(&mut self) {
        self.0.change(|state| state.waiting -= 1);
    }
}

/// A response body that records its frames as activity.
///
/// The connection polls the body whenever it is polled itself, so polls that return no frame are not activity.
pub(super) struct ActivityBody {
    body: ServerBody,
    activity: Activity,
}

/// The response body of the metrics page, or of another service.
pub(super) enum ServerBody {
    /// Has a guard until the first frame.
    Metrics(MetricsBody, Option<PendingPage>),
    /// If its length is unknown, it ends when the server shuts down, because it may be a stream without end. The
    /// receiver becomes true then.
    Nested(NestedBody, watch::Receiver<bool>),
}

impl ServerBody {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self {
            Self::Metrics(page, waiting) => {
                let polled = Pin::new(page).poll_frame(cx);
                if polled.is_ready() {
                    *waiting = None;
                }
                polled.map(|frame| frame.map(|frame| frame.map_err(|never| match never {})))
            }
            Self::Nested(body, closing)
                if *closing.borrow() && body.size_hint().exact().is_none() =>
            {
                Poll::Ready(None)
            }
            Self::Nested(body, _) => body.as_mut().poll_frame(cx),
        }
    }
}

impl ActivityBody {
    pub(super) fn new(body: ServerBody, activity: Activity) -> Self {
        Self { body, activity }
    }
}

impl Body for ActivityBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = self.body.poll_frame(cx);
        if polled.is_ready() {
            self.activity.record();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            ServerBody::Metrics(page, _) => page.is_end_stream(),
            ServerBody::Nested(body, _) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            ServerBody::Metrics(page, _) => page.size_hint(),
            ServerBody::Nested(body, _) => body.size_hint(),
        }
    }
}
