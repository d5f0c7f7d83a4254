//! [`Activity`]: detects idle connections by the time of their last activity.
//!
//! Activity is a complete request, or a part of a page that the client reads. Single bytes of a request do not
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
    /// The number of requests without any part of their page yet. While there are some, the connection is not
    /// idle, because collectors have their own deadline.
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

    /// Records a complete request. The connection is not idle until the returned guard is dropped.
    pub(super) fn request(&self) -> PendingPage {
        self.change(|state| state.waiting += 1);
        PendingPage(self.clone())
    }

    fn change(&self, change: impl FnOnce(&mut ActivityState)) {
        let mut state = lock(&self.state);
        state.latest = Instant::now();
        change(&mut state);
    }
}

/// A guard for a request without any part of its page yet.
#[derive(Debug)]
pub(super) struct PendingPage(Activity);

impl Drop for PendingPage {
    fn drop(&mut self) {
        self.0.change(|state| state.waiting -= 1);
    }
}

/// A response body that records activity when it is polled.
pub(super) struct ActivityBody {
    page: ServerBody,
    activity: Activity,
    waiting: Option<PendingPage>,
}

/// The response body of the metrics page, or of another service.
pub(super) enum ServerBody {
    Metrics(MetricsBody),
    /// If its length is unknown, it ends when the server shuts down, because it may be a stream without end. The
    /// receiver becomes true then.
    Nested(NestedBody, watch::Receiver<bool>),
}

impl ServerBody {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self {
            Self::Metrics(page) => {
                let polled = Pin::new(page).poll_frame(cx);
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
    pub(super) fn new(page: ServerBody, waiting: PendingPage) -> Self {
        Self {
            page,
            activity: waiting.0.clone(),
            waiting: Some(waiting),
        }
    }
}

impl Body for ActivityBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.activity.change(|_| ());
        let polled = self.page.poll_frame(cx);
        if polled.is_ready() {
            self.waiting = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.page {
            ServerBody::Metrics(page) => page.is_end_stream(),
            ServerBody::Nested(body, _) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.page {
            ServerBody::Metrics(page) => page.size_hint(),
            ServerBody::Nested(body, _) => body.size_hint(),
        }
    }
}
