//! [`Peers`]: peers that execute tasks, with their statistics and reputation.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::timeout;
use tower_prometheus::custom::InProgressGuard;

use super::escrow::Escrow;
use super::metrics::{
    EscrowOutcome, EscrowType, Execution, Millicredits, PeerStatistics, RefundReason, TaskError,
    TaskType, ZeroState,
};

/// Reputation of a peer before its first task.
const INITIAL_REPUTATION: f64 = 0.5;
/// Weight of the latest task in the reputation, an exponential moving average.
const WEIGHT: f64 = 0.1;

pub struct Peers {
    metrics: ZeroState,
    records: Mutex<HashMap<String, Record>>,
}

pub struct Task {
    pub kind: TaskType,
    pub peer_id: String,
    pub cost: Millicredits,
    pub work: Duration,
    pub limit: Duration,
    pub fails: bool,
}

#[derive(Clone, Copy)]
struct Record {
    reputation: f64,
    executed: u32,
    succeeded: u32,
    duration: Duration,
    cost: Millicredits,
}

impl Peers {
    pub fn new(metrics: ZeroState) -> Self {
        let records = Mutex::default();
        Self { metrics, records }
    }

    /// Executes a task while its price is in escrow. Returns the result, and the statistics of the
    /// peer afterwards.
    pub async fn execute(&self, task: Task) -> (Result<(), TaskError>, PeerStatistics) {
        self.metrics.task_submitted(task.kind);
        let escrow = Escrow::hold(self.metrics, EscrowType::Task, task.cost);
        let start = Instant::now();
        let result = match timeout(task.limit, work(task.work, task.fails)).await {
            Ok(result) => result,
            Err(_) => Err(TaskError::Timeout),
        };
        match result {
            Ok(()) => drop(escrow.release(EscrowOutcome::TaskCompleted)),
            Err(_) => escrow.refund(RefundReason::TaskFailed),
        }
        let execution = Execution {
            kind: task.kind,
            peer_id: &task.peer_id,
            result,
            duration: start.elapsed(),
            cost: task.cost,
        };
        self.metrics.task_executed(&execution);
        (result, self.update(&execution))
    }

    fn update(&self, execution: &Execution<'_>) -> PeerStatistics {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let record = records.entry(execution.peer_id.to_owned()).or_default();
        record.add(execution);
        let statistics = record.statistics();
        // Under the lock, so that concurrent updates set the gauges in order.
        self.metrics
            .reputation_updated(execution.peer_id, &statistics);
        statistics
    }

    pub fn statistics(&self, peer_id: &str) -> Option<PeerStatistics> {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.get(peer_id).map(|record| record.statistics())
    }

    /// Counts a peer as monitored until the guard is dropped.
    pub fn monitor(&self) -> InProgressGuard {
        self.metrics.active_peer_monitors.start()
    }
}

/// Simulates the work of a peer.
async fn work(duration: Duration, fails: bool) -> Result<(), TaskError> {
    tokio::time::sleep(duration).await;
    match fails {
        false => Ok(()),
        true => Err(TaskError::Peer),
    }
}

impl Default for Record {
    fn default() -> Self {
        Self {
            reputation: INITIAL_REPUTATION,
            executed: 0,
            succeeded: 0,
            duration: Duration::ZERO,
            cost: 0,
        }
    }
}

impl Record {
    fn add(&mut self, execution: &Execution<'_>) {
        let success = u32::from(execution.result.is_ok());
        self.reputation += WEIGHT * (f64::from(success) - self.reputation);
        self.executed += 1;
        self.succeeded += success;
        self.duration += execution.duration;
        self.cost += execution.cost;
    }

    fn statistics(self) -> PeerStatistics {
        let executed = self.executed.max(1);
        PeerStatistics {
            reputation: self.reputation,
            success_rate: f64::from(self.succeeded) / f64::from(executed),
            average_duration: self.duration / executed,
            average_cost: self.cost / Millicredits::from(executed),
        }
    }
}
