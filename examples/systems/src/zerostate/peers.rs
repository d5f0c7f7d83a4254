//! [`Peers`]: who executes tasks, what became of them, and what that does to a reputation.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::timeout;
use tower_prometheus::custom::InProgressGuard;

use super::escrow::Escrow;
use super::metrics::{
    EscrowOutcome, EscrowType, Execution, Millicredits, RefundReason, Standing, TaskError,
    TaskType, ZeroState,
};

/// What a newcomer is trusted.
const FIRST_REPUTATION: f64 = 0.5;
/// How much the latest task weighs.
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
    took: Duration,
    cost: Millicredits,
}

impl Peers {
    pub fn new(metrics: ZeroState) -> Self {
        let records = Mutex::default();
        Self { metrics, records }
    }

    /// Lets the peer work while the price is in escrow, and gives its reputation afterwards.
    pub async fn execute(&self, task: Task) -> (Result<(), TaskError>, Standing) {
        self.metrics.task_submitted(task.kind);
        let escrow = Escrow::hold(self.metrics, EscrowType::Task, task.cost);
        let started = Instant::now();
        let result = match timeout(task.limit, work(task.work, task.fails)).await {
            Ok(worked) => worked,
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
            took: started.elapsed(),
            cost: task.cost,
        };
        self.metrics.task_executed(&execution);
        (result, self.update(&execution))
    }

    fn update(&self, execution: &Execution<'_>) -> Standing {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let record = records.entry(execution.peer_id.to_owned()).or_default();
        record.add(execution);
        let standing = record.standing();
        // Still under the lock, so that the latest is what is recorded last.
        self.metrics
            .reputation_updated(execution.peer_id, &standing);
        standing
    }

    pub fn standing(&self, peer_id: &str) -> Option<Standing> {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.get(peer_id).map(|record| record.standing())
    }

    /// One that is watched, until the guard is dropped.
    pub fn monitor(&self) -> InProgressGuard {
        self.metrics.active_peer_monitors.start()
    }
}

/// What the peer does.
async fn work(takes: Duration, fails: bool) -> Result<(), TaskError> {
    tokio::time::sleep(takes).await;
    match fails {
        false => Ok(()),
        true => Err(TaskError::Peer),
    }
}

impl Default for Record {
    fn default() -> Self {
        Self {
            reputation: FIRST_REPUTATION,
            executed: 0,
            succeeded: 0,
            took: Duration::ZERO,
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
        self.took += execution.took;
        self.cost += execution.cost;
    }

    fn standing(self) -> Standing {
        let executed = self.executed.max(1);
        Standing {
            reputation: self.reputation,
            success_rate: f64::from(self.succeeded) / f64::from(executed),
            average_duration: self.took / executed,
            average_cost: self.cost / Millicredits::from(executed),
        }
    }
}
