//! [`ResultBuffer`]: buffers results while the store is unreachable.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::interval;

use super::metrics::{AttemptResult, OpenClaw};
use super::partition::{Network, PartitionDetector, Unreachable};

pub struct ResultBuffer {
    metrics: OpenClaw,
    network: Network,
    detector: Arc<PartitionDetector>,
    /// The tasks with buffered results, the oldest first.
    buffered: Mutex<VecDeque<u64>>,
    /// Held during a flush, so that concurrent flushes do not store the same result twice.
    flushing: tokio::sync::Mutex<()>,
}

impl ResultBuffer {
    /// Maximum number of buffered results.
    const CAPACITY: usize = 200;

    pub fn new(metrics: OpenClaw, network: Network, detector: Arc<PartitionDetector>) -> Arc<Self> {
        Arc::new(Self {
            metrics,
            network,
            detector,
            buffered: Mutex::default(),
            flushing: tokio::sync::Mutex::default(),
        })
    }

    /// Stores a result, or buffers it if the store is unreachable.
    pub async fn deliver(&self, task: u64) {
        if self.is_degraded() || self.network.round_trip().await.is_err() {
            self.buffer(task);
        }
    }

    fn buffer(&self, task: u64) {
        let mut buffered = self.buffered();
        if buffered.len() == Self::CAPACITY
            && let Some(lost) = buffered.pop_front()
        {
            let capacity = Self::CAPACITY;
            tracing::warn!(
                "result buffer is full ({capacity} results): lost the result of task {lost}"
            );
        }
        buffered.push_back(task);
        drop(buffered);
        self.metrics.result_buffered();
    }

    /// Stores the buffered results, the oldest first, until the buffer is empty or a result cannot
    /// be stored. Returns the number of results stored.
    ///
    /// # Errors
    ///
    /// If the store is unreachable. The remaining results stay in the buffer.
    pub async fn flush(&self) -> Result<usize, Unreachable> {
        let _guard = self.flushing.lock().await;
        let mut flushed = 0;
        loop {
            let Some(task) = self.oldest() else {
                return Ok(flushed);
            };
            if let Err(unreachable) = self.network.round_trip().await {
                self.metrics.result_flushed(AttemptResult::Failed);
                return Err(unreachable);
            }
            // Removed only after it is stored: a cancelled flush loses nothing.
            self.buffered().retain(|buffered| *buffered != task);
            self.metrics.result_flushed(AttemptResult::Success);
            flushed += 1;
        }
    }

    fn oldest(&self) -> Option<u64> {
        self.buffered().front().copied()
    }

    /// Flushes every 50 ms if the buffer is not empty and no partition is detected.
    pub async fn flush_periodically(self: Arc<Self>) {
        let mut ticks = interval(Duration::from_millis(50));
        loop {
            ticks.tick().await;
            if self.size() > 0 && !self.is_degraded() {
                // A failure is counted; the next tick tries again.
                let _ = self.metrics.recovery("buffer_flush", self.flush()).await;
            }
        }
    }

    pub fn size(&self) -> usize {
        self.buffered().len()
    }

    pub fn capacity(&self) -> usize {
        Self::CAPACITY
    }

    /// If the detector is stopped, the state is unknown: assume that the store is reachable.
    fn is_degraded(&self) -> bool {
        self.detector.is_degraded().unwrap_or(false)
    }

    fn buffered(&self) -> MutexGuard<'_, VecDeque<u64>> {
        self.buffered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
