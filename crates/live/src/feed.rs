//! [`Feed`]: the stream of lines of one viewer.

use std::sync::Arc;

use bytes::Bytes;
use futures_core::Stream;
use futures_util::stream;
use tokio::sync::broadcast::error::RecvError;

use crate::live::{Live, Subscription};
use crate::tick::Position;
use crate::viewers::Viewer;

pub(crate) struct Feed {
    live: Arc<Live>,
    viewer: Viewer,
    subscription: Subscription,
    /// The position in the first tick of the replay.
    position: Position,
}

impl Feed {
    /// Starts a stream; `None` if there are too many viewers.
    pub(crate) fn start(live: &Arc<Live>) -> Option<Self> {
        let viewer = live.viewers.add()?;
        live.wake.notify_one();
        Some(Self {
            live: Arc::clone(live),
            viewer,
            subscription: live.subscribe(),
            position: Position::default(),
        })
    }

    pub(crate) fn into_lines(self) -> impl Stream<Item = Bytes> + Send {
        stream::unfold(self, async |mut feed| {
            let lines = feed.next().await?;
            Some((lines, feed))
        })
    }

    /// Returns the next lines: of the history, then of each tick as it comes. `None` ends the stream.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if !self.viewer.reads() {
                return None;
            }
            if let Some(line) = self.replayed() {
                tokio::task::yield_now().await;
                return Some(line.into());
            }
            match self.subscription.ticks.recv().await {
                Ok(lines) => return Some(lines),
                Err(RecvError::Lagged(_)) => self.subscription = self.live.subscribe(),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// Returns the next line before the ticks: the greeting, then the history.
    fn replayed(&mut self) -> Option<String> {
        if !self.subscription.hello.is_empty() {
            return Some(std::mem::take(&mut self.subscription.hello));
        }
        while let Some(tick) = self.subscription.replay.front() {
            if let Some(line) = tick.line(&mut self.position) {
                return Some(line);
            }
            self.subscription.replay.pop_front();
            self.position = Position::default();
        }
        None
    }
}
