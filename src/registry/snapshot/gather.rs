//! [`Registry::gather`]: runs the collectors and reads the registry.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::Snapshot;
use super::values::{RegistryValues, ValueReader};
use crate::budget::Budget;
use crate::collect::deadline::Deadline;
use crate::registry::Registry;
use crate::registry::collectors::collection::Collection;
use crate::registry::collectors::merge::CollectorMerge;
use crate::registry::expiry::pages::Purpose;

/// Does work until it has a result, and yields whenever a budget is spent.
async fn in_turns<T>(mut work: impl FnMut(&mut Budget) -> Option<T>) -> T {
    let turns = poll_fn(|cx| match work(&mut Budget::until_yield()) {
        Some(result) => Poll::Ready(result),
        None => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    });
    turns.await
}

impl Registry {
    /// Runs the collectors and returns a snapshot of all metrics.
    ///
    /// The timeout for collectors is 10 s; to set another one, use [`gather_within`](Self::gather_within). It
    /// needs a tokio runtime with an enabled timer; without one, the future waits for a collector that hangs.
    ///
    /// The call yields after about 0.1 ms of work, so that other tasks can run: between collectors, while their
    /// samples are validated and while the registry is read. Dropping the future
    /// also drops the runs of collectors that no scrape waits for.
    pub async fn gather(&self) -> Snapshot {
        self.gather_within(Deadline::DEFAULT_TIMEOUT).await
    }

    /// Runs the collectors with a timeout and returns a snapshot of all metrics, like [`gather`](Self::gather).
    ///
    /// The metrics of a collector that times out are missing from the snapshot. Collectors are dropped 100 ms
    /// before `timeout`. If `timeout` is less than 200 ms, they are dropped after half of it. The maximum is 1 h;
    /// longer timeouts are reduced to it. See [timeouts](crate::collect#timeouts).
    pub async fn gather_within(&self, timeout: Duration) -> Snapshot {
        let deadline = Deadline::after(timeout);
        let collectors = self.collectors();
        let calls = collectors.call(deadline);
        let mut collection = Collection::new(deadline);
        let collected = poll_fn(|cx| collection.poll(&calls, &mut Budget::until_yield(), cx)).await;
        let values = self.read_values().await;
        let registered = Arc::clone(&values);
        let is_taken = move |name: &str| registered.has_sample_name(name);
        let mut merge = CollectorMerge::new(collected, collectors.constant_labels(), is_taken);
        let collected = in_turns(|budget| merge.advance(budget)).await;
        values.complete();
        Snapshot::new(values, collected)
    }

    async fn read_values(&self) -> Arc<RegistryValues> {
        let mut reader = ValueReader::new(self, Purpose::Page);
        Arc::new(in_turns(|budget| reader.advance(budget)).await)
    }

    /// Reads the metrics of the registry synchronously, without those of its collectors.
    pub(crate) fn snapshot_now(&self, purpose: Purpose) -> Snapshot {
        Snapshot::new(Arc::new(RegistryValues::now(self, purpose)), Vec::new())
    }
}
