//! [`Feed`]: the stream of lines of one viewer.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use futures_core::Stream;
use futures_util::stream;
use tokio::sync::broadcast::{self, error::RecvError};

use crate::history::last_state;
use crate::live::{Live, Subscription};
use crate::tick::Position;
use crate::viewers::Viewer;

pub(crate) struct Feed {
    live: Arc<Live>,
    viewer: Viewer,
    /// Empty after it was sent.
    hello: String,
    ticks: broadcast::Receiver<Bytes>,
    /// The position in the first tick of the replay.
    position: Position,
}

impl Feed {
    /// Starts a stream; `None` if there are too many viewers.
    pub(crate) fn start(live: &Arc<Live>) -> Option<Self> {
        let viewer = live.viewers.add()?;
        live.wake.notify_one();
        let Subscription {
            hello,
            replay,
            ticks,
        } = live.subscribe();
        *viewer.replay() = replay;
        Some(Self {
            live: Arc::clone(live),
            viewer,
            hello,
            ticks,
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
            match self.ticks.recv().await {
                Ok(lines) => return Some(lines),
                Err(RecvError::Lagged(_)) => self.start_again().await,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// Starts the stream again with the last state, after ticks were lost. The history would make a slow viewer late again.
    async fn start_again(&mut self) {
        let Subscription {
            hello,
            replay,
            ticks,
        } = self.live.subscribe();
        let state = last_state(replay).await;
        *self.viewer.replay() = VecDeque::from([Arc::new(state)]);
        (self.hello, self.ticks) = (hello, ticks);
    }

    /// Returns the next line before the ticks: the greeting, then the history.
    fn replayed(&mut self) -> Option<String> {
        if !self.hello.is_empty() {
            return Some(std::mem::take(&mut self.hello));
        }
        let mut replay = self.viewer.replay();
        while let Some(tick) = replay.front() {
            if let Some(line) = tick.line(&mut self.position) {
                return Some(line);
            }
            replay.pop_front();
            self.position = Position::default();
        }
        None
    }
}
