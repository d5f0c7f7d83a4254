//! [`Orchestrator`]: assigns tasks to nodes, and requeues tasks whose lease was revoked.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{interval, sleep};

use super::audit::AuditLog;
use super::leases::{Grant, LeaseService};
use super::metrics::{Assignment, Audit, OpenClaw, Requeue, Validation};
use super::node::{Message, Node};
use super::partition::{Network, PartitionDetector};
use super::results::ResultBuffer;
use super::task::{Needs, Task};
use super::tokens::Tokens;

pub struct Orchestrator {
    pub metrics: OpenClaw,
    pub audit: Arc<AuditLog>,
    pub tokens: Arc<Tokens>,
    pub leases: Arc<LeaseService>,
    pub network: Network,
    pub detector: Arc<PartitionDetector>,
    pub results: Arc<ResultBuffer>,
    nodes: Mutex<BTreeMap<&'static str, RunningNode>>,
    tasks: AtomicU64,
}

/// A running node.
struct RunningNode {
    node: Node,
    inbox: mpsc::Sender<Grant>,
    /// Aborting it simulates a crash.
    process: AbortHandle,
}

/// A task that is assigned to a node.
pub struct Assigned {
    pub task: u64,
    pub lease: u64,
    pub node: &'static str,
}

impl Orchestrator {
    /// Starts the orchestrator and these nodes.
    ///
    /// # Panics
    ///
    /// If called outside of a tokio runtime.
    pub fn start(metrics: OpenClaw, nodes: impl IntoIterator<Item = Node>) -> Arc<Self> {
        metrics.started();
        let audit = Arc::new(AuditLog::new(metrics));
        let tokens = Arc::new(Tokens::new(metrics, Arc::clone(&audit)));
        let (leases, revoked) = LeaseService::new(metrics, Arc::clone(&audit));
        let network = Network::default();
        let detector = PartitionDetector::start(network.clone(), metrics);
        let results = ResultBuffer::new(metrics, network.clone(), Arc::clone(&detector));
        let orchestrator = Arc::new(Self {
            metrics,
            audit,
            tokens,
            leases,
            network,
            detector,
            results,
            nodes: Mutex::default(),
            tasks: AtomicU64::new(0),
        });
        let (sender, messages) = mpsc::channel(16);
        tokio::spawn(Arc::clone(&orchestrator).listen(messages));
        tokio::spawn(Arc::clone(&orchestrator).requeue_revoked(revoked));
        tokio::spawn(Arc::clone(&orchestrator).rotate_tokens());
        tokio::spawn(Arc::clone(&orchestrator.results).flush_periodically());
        for node in nodes {
            tokio::spawn(Arc::clone(&orchestrator).run_node(node, sender.clone()));
        }
        orchestrator
    }

    pub fn submit(&self, needs: Needs) -> Result<Assigned, Assignment> {
        let id = self.tasks.fetch_add(1, Ordering::Relaxed) + 1;
        self.audit
            .record(Audit::TaskSubmitted, &format!("task {id}"));
        self.assign(&Task {
            id,
            needs,
            attempt: 1,
        })
    }

    /// Assigns a task to the first node that can execute it and has room in its inbox.
    fn assign(&self, task: &Task) -> Result<Assigned, Assignment> {
        let assigned = self.assign_to_first_free(task);
        let assignment = assigned.as_ref().err().copied();
        self.metrics
            .assigned(assignment.unwrap_or(Assignment::Success));
        assigned
    }

    fn assign_to_first_free(&self, task: &Task) -> Result<Assigned, Assignment> {
        let mut reason = Assignment::NoCapableNodes;
        for RunningNode { node, inbox, .. } in self.nodes().values() {
            let validation = node.validate(&task.needs);
            self.metrics.validated(validation);
            if validation != Validation::Valid {
                continue;
            }
            reason = Assignment::Failed;
            if let Ok(permit) = inbox.try_reserve() {
                let grant = self.leases.issue(node.name, task.clone());
                let lease = grant.lease;
                permit.send(grant);
                return Ok(Assigned {
                    task: task.id,
                    lease,
                    node: node.name,
                });
            }
        }
        Err(reason)
    }

    /// Handles the message that a task is done. Returns `false` if the signature is not that of the node.
    pub async fn complete(&self, message: &Message) -> bool {
        let Message {
            node,
            lease,
            signature,
        } = message;
        if !self.tokens.verify(node, &lease.to_string(), *signature) {
            return false;
        }
        // If the lease is no longer held, the result is too late: the task was requeued.
        if let Some(Task { id, .. }) = self.leases.release(*lease) {
            self.audit
                .record(Audit::TaskCompleted, &format!("task {id} by {node}"));
            self.results.deliver(id).await;
        }
        true
    }

    async fn listen(self: Arc<Self>, mut messages: mpsc::Receiver<Message>) {
        while let Some(message) = messages.recv().await {
            self.complete(&message).await;
        }
    }

    /// Requeues the tasks of revoked leases, up to [`Task::ATTEMPTS`] attempts per task.
    async fn requeue_revoked(self: Arc<Self>, mut revoked: mpsc::UnboundedReceiver<Task>) {
        while let Some(task) = revoked.recv().await {
            tokio::spawn(Arc::clone(&self).requeue(task));
        }
    }

    async fn requeue(self: Arc<Self>, mut task: Task) {
        loop {
            let id = task.id;
            let Some(next) = task.next_attempt() else {
                self.metrics.requeued(Requeue::PermanentlyFailed);
                self.audit
                    .record(Audit::TaskAbandoned, &format!("task {id}"));
                return;
            };
            self.metrics.requeued(Requeue::Success);
            sleep(Duration::from_millis(20)).await;
            if self.assign(&next).is_ok() {
                return;
            }
            task = next;
        }
    }

    /// Runs a node, and restarts it after a crash.
    async fn run_node(self: Arc<Self>, node: Node, results: mpsc::Sender<Message>) {
        loop {
            let (inbox, grants) = mpsc::channel(Node::INBOX);
            self.tokens.issue(node.name);
            let work = node.run(grants, Arc::clone(&self.tokens), results.clone());
            let process = tokio::spawn(work);
            let running = RunningNode {
                node,
                inbox,
                process: process.abort_handle(),
            };
            self.nodes().insert(node.name, running);
            self.audit.record(Audit::NodeJoined, node.name);
            let Err(_) = process.await else {
                return;
            };
            self.remove_crashed(node.name);
            let restart = async {
                sleep(Duration::from_millis(30)).await;
                Ok::<_, Infallible>(())
            };
            let _ = self.metrics.recovery("node_restart", restart).await;
        }
    }

    fn remove_crashed(&self, node: &'static str) {
        self.nodes().remove(node);
        self.metrics.node_crashed();
        self.audit.record(Audit::NodeCrashed, node);
        self.leases.revoke_all_of(node);
    }

    /// Crashes a node. Returns `false` if no node of this name runs.
    pub fn crash(&self, node: &str) -> bool {
        let nodes = self.nodes();
        let running = nodes.get(node);
        running.inspect(|node| node.process.abort()).is_some()
    }

    async fn rotate_tokens(self: Arc<Self>) {
        let mut rotations = interval(Duration::from_secs(1));
        loop {
            rotations.tick().await;
            self.tokens.rotate();
        }
    }

    fn nodes(&self) -> MutexGuard<'_, BTreeMap<&'static str, RunningNode>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
