//! [`LeaseService`]: leases of tasks by nodes, with their expiry.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use super::audit::AuditLog;
use super::metrics::{Audit, LeaseRevocation, OpenClaw};
use super::task::Task;

pub struct LeaseService {
    metrics: OpenClaw,
    audit: Arc<AuditLog>,
    leases: Mutex<Leases>,
    /// Receives the tasks of revoked leases.
    revoked: mpsc::UnboundedSender<Task>,
}

#[derive(Default)]
struct Leases {
    /// Id of the latest lease.
    last: u64,
    held: BTreeMap<u64, Lease>,
}

struct Lease {
    node: &'static str,
    task: Task,
    /// Never sends: the node notices when this is dropped, and stops the task.
    _held: oneshot::Sender<()>,
    /// The task that revokes the lease when it expires.
    timer: AbortHandle,
}

/// The node's side of a lease.
pub struct Grant {
    pub lease: u64,
    pub task: Task,
    /// Completes when the lease is released or revoked.
    pub ended: oneshot::Receiver<()>,
}

impl LeaseService {
    /// Returns the service, and a receiver of the tasks of revoked leases.
    pub fn new(
        metrics: OpenClaw,
        audit: Arc<AuditLog>,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<Task>) {
        let (revoked, tasks) = mpsc::unbounded_channel();
        let service = Self {
            metrics,
            audit,
            leases: Mutex::default(),
            revoked,
        };
        (Arc::new(service), tasks)
    }

    pub fn issue(self: &Arc<Self>, node: &'static str, task: Task) -> Grant {
        let (held, ended) = oneshot::channel();
        let mut leases = self.leases();
        leases.last += 1;
        let id = leases.last;
        let (service, time) = (Arc::clone(self), task.lease_duration());
        let timer = tokio::spawn(async move {
            tokio::time::sleep(time).await;
            service.revoke(id, LeaseRevocation::Expired);
        });
        let lease = Lease {
            node,
            task: task.clone(),
            _held: held,
            timer: timer.abort_handle(),
        };
        leases.held.insert(id, lease);
        drop(leases);
        self.metrics.lease_issued(task.needs.complexity);
        self.audit.record(Audit::LeaseIssued, node);
        Grant {
            lease: id,
            task,
            ended,
        }
    }

    /// Ends a lease because its task is done, and returns the task. `None` if the lease is no longer held.
    pub fn release(&self, id: u64) -> Option<Task> {
        Some(self.end(id)?.task)
    }

    /// Revokes a lease, and sends its task to be requeued. Returns `false` if the lease is not held.
    pub fn revoke(&self, id: u64, reason: LeaseRevocation) -> bool {
        let Some(lease) = self.end(id) else {
            return false;
        };
        self.metrics.lease_revoked(reason);
        self.audit.record(Audit::LeaseRevoked, lease.node);
        // Fails only while the orchestrator shuts down; its tasks end with it.
        let _ = self.revoked.send(lease.task);
        true
    }

    /// Revokes all leases of a crashed node.
    pub fn revoke_all_of(&self, node: &str) {
        let leases = self.leases();
        let held = leases.held.iter().filter(|(_, lease)| lease.node == node);
        let ids: Vec<_> = held.map(|(id, _)| *id).collect();
        drop(leases);
        for id in ids {
            self.revoke(id, LeaseRevocation::Crash);
        }
    }

    /// Returns the number of leases held.
    pub fn active(&self) -> usize {
        self.leases().held.len()
    }

    fn end(&self, id: u64) -> Option<Lease> {
        let lease = self.leases().held.remove(&id)?;
        lease.timer.abort();
        Some(lease)
    }

    fn leases(&self) -> MutexGuard<'_, Leases> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
