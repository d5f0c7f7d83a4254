use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use tokio::time::Instant;
use tower_prometheus::collect::Samples;
use tower_prometheus::custom::{Outcome, Owned};
use tower_prometheus::model::{FamilyDescription, LabelDescription, MetricKind};
use tower_prometheus::{
    Counter, Error, Histogram, InProgress, Operation, Registry, buckets, catalogue, labels,
};

labels! {
    pub struct QueueName {
        queue: open(20),
    }

    pub struct Processed {
        queue: open(20),
        outcome: Outcome,
    }
}

catalogue! {
    /// Metrics of processing items.
    pub struct QueueMetrics {
        /// Total number of processed items, by queue and outcome.
        pub queue_items_total: Counter<Processed>,
        /// Duration of processing an item in seconds, by queue.
        pub queue_item_duration_seconds: Histogram<QueueName> { buckets: buckets::DURATION },
        /// Number of items being processed, by queue.
        pub queue_items_in_progress: InProgress<QueueName>,
    }
}

const LENGTH: (&str, &str) = ("queue_length", "Number of items in the queue.");
const CAPACITY: (&str, &str) = ("queue_capacity", "Maximum number of items in the queue.");
const OLDEST: (&str, &str) = (
    "queue_oldest_item_age_seconds",
    "Age of the oldest item in the queue in seconds, 0 if the queue is empty.",
);

/// Returns the definitions of all metrics of queues, for dashboards and alerts.
pub fn families() -> Vec<FamilyDescription> {
    let gauges = [LENGTH, CAPACITY, OLDEST].map(|(name, help)| {
        FamilyDescription::new(name, MetricKind::Gauge)
            .help(help)
            .label(LabelDescription::new("queue"))
    });
    QueueMetrics::families().into_iter().chain(gauges).collect()
}

/// The times at which the items in the queue were sent, the oldest first.
type SentTimes = Mutex<VecDeque<Instant>>;

fn lock(sent: &SentTimes) -> MutexGuard<'_, VecDeque<Instant>> {
    sent.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Creates a queue with metrics. `name` is the value of the label `queue`.
pub fn queue<T: Send + 'static>(
    metrics: &Registry,
    name: &'static str,
    capacity: usize,
) -> Result<(QueueSender<T>, QueueReceiver<T>), Error> {
    let (sender, receiver) = mpsc::channel(capacity);
    let sent = Arc::new(SentTimes::default());
    let recorded = QueueMetrics::on(metrics)?;
    // The series of all outcomes are exported as 0 from here on, so that rates see the first item.
    let _ = recorded.queue_items_total.with(Processed {
        queue: name,
        outcome: Outcome::Success,
    });
    let collected = Arc::clone(&sent);
    metrics.collector(&format!("queue_{name}"), move |samples: &mut Samples| {
        let (length, oldest) = {
            let sent = lock(&collected);
            (sent.len(), sent.front().map(Instant::elapsed))
        };
        let labels = [("queue", name)];
        samples.gauge(LENGTH.0, LENGTH.1).sample(&labels, length);
        samples
            .gauge(CAPACITY.0, CAPACITY.1)
            .sample(&labels, capacity);
        samples
            .gauge(OLDEST.0, OLDEST.1)
            .sample(&labels, oldest.unwrap_or_default());
        Ok(())
    })?;
    let queue_sender = QueueSender {
        items: sender,
        sent: Arc::clone(&sent),
    };
    let queue_receiver = QueueReceiver {
        items: receiver,
        sent,
        name,
        items_total: recorded.queue_items_total,
        in_progress: recorded
            .queue_items_in_progress
            .with(QueueName { queue: name }),
        duration: recorded
            .queue_item_duration_seconds
            .with(QueueName { queue: name }),
    };
    Ok((queue_sender, queue_receiver))
}

/// The sending half of a queue.
pub struct QueueSender<T> {
    items: mpsc::Sender<T>,
    sent: Arc<SentTimes>,
}

impl<T> QueueSender<T> {
    /// Adds an item. Waits while the queue is full. Returns an error if the receiver is dropped.
    pub async fn send(&self, item: T) -> Result<(), mpsc::error::SendError<()>> {
        let permit = self.items.reserve().await?;
        // Locked while the item is sent, so that times and items have the same order.
        let mut sent = lock(&self.sent);
        sent.push_back(Instant::now());
        permit.send(item);
        Ok(())
    }
}

/// The receiving half of a queue.
pub struct QueueReceiver<T> {
    items: mpsc::Receiver<T>,
    sent: Arc<SentTimes>,
    name: &'static str,
    items_total: Counter<Processed>,
    in_progress: InProgress<Owned>,
    duration: Histogram<Owned>,
}

impl<T> QueueReceiver<T> {
    /// Waits for an item and processes it. Returns `None` if the senders are dropped and the queue is empty.
    pub async fn process<R, E, F>(&mut self, work: impl FnOnce(T) -> F) -> Option<Result<R, E>>
    where
        F: Future<Output = Result<R, E>>,
    {
        let item = self.items.recv().await?;
        lock(&self.sent).pop_front();
        let processed = Operation::new()
            .in_progress(self.in_progress.clone())
            .duration(|_| self.duration.clone())
            .count(|end| {
                self.items_total.with(Processed {
                    queue: self.name,
                    outcome: end.outcome,
                })
            })
            .run(work(item))
            .await;
        Some(processed)
    }
}
