//! The simulated network to the result store, and [`PartitionDetector`], which pings the store.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::metrics::{OpenClaw, Partition};

/// The network connection to the store. It can be cut; the flag says whether it is.
#[derive(Clone, Default)]
pub struct Network(Arc<AtomicBool>);

impl Network {
    pub fn set_cut(&self, cut: bool) {
        self.0.store(cut, Ordering::Relaxed);
    }

    /// Sends a request to the store and waits for the response.
    pub async fn round_trip(&self) -> Result<(), Unreachable> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        match self.0.load(Ordering::Relaxed) {
            true => Err(Unreachable),
            false => Ok(()),
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Unreachable;

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the result store is unreachable")
    }
}

/// Pings the store periodically. Three failed pings in a row are a partition; one successful ping ends it.
pub struct PartitionDetector {
    degraded: watch::Receiver<bool>,
    pinger: AbortHandle,
}

/// The detector is stopped, so its state is unknown.
#[derive(Clone, Copy, Debug)]
pub struct Stopped;

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the partition detector is stopped")
    }
}

impl std::error::Error for Stopped {}

impl PartitionDetector {
    /// Consecutive failed pings that are a partition.
    const MISSES: u32 = 3;

    pub fn start(network: Network, metrics: OpenClaw) -> Arc<Self> {
        let (sender, degraded) = watch::channel(false);
        let pinger = tokio::spawn(ping_store(network, metrics, sender)).abort_handle();
        Arc::new(Self { degraded, pinger })
    }

    /// Returns whether there is a partition.
    ///
    /// # Errors
    ///
    /// If the detector is stopped.
    pub fn is_degraded(&self) -> Result<bool, Stopped> {
        match self.pinger.is_finished() {
            true => Err(Stopped),
            false => Ok(*self.degraded.borrow()),
        }
    }

    pub fn stop(&self) {
        self.pinger.abort();
    }
}

async fn ping_store(network: Network, metrics: OpenClaw, degraded: watch::Sender<bool>) {
    let mut pings = interval(Duration::from_millis(10));
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut misses = 0;
    loop {
        pings.tick().await;
        misses = match network.round_trip().await {
            Ok(()) => 0,
            Err(Unreachable) => misses + 1,
        };
        let is_degraded = *degraded.borrow();
        if misses == 0 && is_degraded {
            degraded.send_replace(false);
            metrics.partition(Partition::Recovered);
        } else if misses >= PartitionDetector::MISSES && !is_degraded {
            degraded.send_replace(true);
            metrics.partition(Partition::Detected);
        }
    }
}
