//! [`ResultBuffer`]: where results wait while the store is out of reach.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::interval;

use super::metrics::{OpenClaw, Verdict};
use super::partition::{Network, PartitionDetector, Unreachable};

pub struct ResultBuffer {
    metrics: OpenClaw,
    network: Network,
    detector: Arc<PartitionDetector>,
    /// The tasks whose results wait.
    waiting: Mutex<VecDeque<u64>>,
    /// One flush at a time: none brings what another is bringing.
    flushing: tokio::sync::Mutex<()>,
}

impl ResultBuffer {
    const CAPACITY: usize = 200;

    pub fn new(metrics: OpenClaw, network: Network, detector: Arc<PartitionDetector>) -> Arc<Self> {
        Arc::new(Self {
            metrics,
            network,
            detector,
            waiting: Mutex::default(),
            flushing: tokio::sync::Mutex::default(),
        })
    }

    /// Brings a result to the store, or keeps it until that can be done.
    pub async fn deliver(&self, task: u64) {
        if self.is_degraded() || self.network.round_trip().await.is_err() {
            self.keep(task);
        }
    }

    fn keep(&self, task: u64) {
        let mut waiting = self.waiting();
        if waiting.len() == Self::CAPACITY {
            let lost = waiting.pop_front();
            tracing::warn!("the buffer is full: the result of task {lost:?} is lost");
        }
        waiting.push_back(task);
        drop(waiting);
        self.metrics.result_buffered();
    }

    /// Brings what waits to the store, the oldest first, until one cannot be brought.
    pub async fn flush(&self) -> Result<usize, Unreachable> {
        let _alone = self.flushing.lock().await;
        let mut flushed = 0;
        loop {
            let Some(task) = self.oldest() else {
                return Ok(flushed);
            };
            if let Err(unreachable) = self.network.round_trip().await {
                self.metrics.result_flushed(Verdict::Failed);
                return Err(unreachable);
            }
            // It waits until it is there: who gives up a flush loses nothing.
            self.waiting().retain(|waiting| *waiting != task);
            self.metrics.result_flushed(Verdict::Success);
            flushed += 1;
        }
    }

    fn oldest(&self) -> Option<u64> {
        self.waiting().front().copied()
    }

    /// Flushes whenever something waits and the store seems to be there.
    pub async fn flush_when_possible(self: Arc<Self>) {
        let mut looks = interval(Duration::from_millis(50));
        loop {
            looks.tick().await;
            if self.size() > 0 && !self.is_degraded() {
                // What cannot be brought is brought next time.
                let _ = self.metrics.recovery("buffer_flush", self.flush()).await;
            }
        }
    }

    pub fn size(&self) -> usize {
        self.waiting().len()
    }

    pub fn capacity(&self) -> usize {
        Self::CAPACITY
    }

    /// Who does not know tries.
    fn is_degraded(&self) -> bool {
        self.detector.is_degraded().unwrap_or(false)
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<u64>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
