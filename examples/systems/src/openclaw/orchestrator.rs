//! [`Orchestrator`]: gives tasks to nodes, and tries again when they come to nothing.

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
    nodes: Mutex<BTreeMap<&'static str, Alive>>,
    tasks: AtomicU64,
}

/// A node that runs.
struct Alive {
    node: Node,
    inbox: mpsc::Sender<Grant>,
    process: AbortHandle,
}

/// A task that a node has.
pub struct Assigned {
    pub task: u64,
    pub lease: u64,
    pub node: &'static str,
}

impl Orchestrator {
    /// Starts it with these nodes, inside a tokio runtime.
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
        tokio::spawn(Arc::clone(&orchestrator).try_again(revoked));
        tokio::spawn(Arc::clone(&orchestrator).rotate_tokens());
        tokio::spawn(Arc::clone(&orchestrator.results).flush_when_possible());
        for node in nodes {
            tokio::spawn(Arc::clone(&orchestrator).keep_alive(node, sender.clone()));
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

    /// Gives a task to the first node that can take it and has room.
    fn assign(&self, task: &Task) -> Result<Assigned, Assignment> {
        let assigned = self.first_free(task);
        let assignment = assigned.as_ref().err().copied();
        self.metrics
            .assigned(assignment.unwrap_or(Assignment::Success));
        assigned
    }

    fn first_free(&self, task: &Task) -> Result<Assigned, Assignment> {
        let mut refusal = Assignment::NoCapableNodes;
        for Alive { node, inbox, .. } in self.nodes().values() {
            let validation = node.validate(&task.needs);
            self.metrics.validated(validation);
            if validation != Validation::Valid {
                continue;
            }
            refusal = Assignment::Failed;
            if let Ok(place) = inbox.try_reserve() {
                let grant = self.leases.issue(node.name, task.clone());
                let lease = grant.lease;
                place.send(grant);
                return Ok(Assigned {
                    task: task.id,
                    lease,
                    node: node.name,
                });
            }
        }
        Err(refusal)
    }

    /// Hears what a node, or who pretends to be one, has done; false when it is not to be believed.
    pub async fn hear(&self, message: &Message) -> bool {
        let Message {
            node,
            lease,
            signature,
        } = message;
        if !self.tokens.verify(node, &lease.to_string(), *signature) {
            return false;
        }
        // Without a lease it is too late, and another node has the task.
        if let Some(Task { id, .. }) = self.leases.release(*lease) {
            self.audit
                .record(Audit::TaskCompleted, &format!("task {id} by {node}"));
            self.results.deliver(id).await;
        }
        true
    }

    async fn listen(self: Arc<Self>, mut messages: mpsc::Receiver<Message>) {
        while let Some(message) = messages.recv().await {
            self.hear(&message).await;
        }
    }

    /// Tasks whose lease was taken back get another, a few times.
    async fn try_again(self: Arc<Self>, mut revoked: mpsc::UnboundedReceiver<Task>) {
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

    /// Runs a node, and runs it again when it dies.
    async fn keep_alive(self: Arc<Self>, node: Node, results: mpsc::Sender<Message>) {
        loop {
            let (inbox, grants) = mpsc::channel(Node::INBOX);
            self.tokens.issue(node.name);
            let running = node.run(grants, Arc::clone(&self.tokens), results.clone());
            let process = tokio::spawn(running);
            let alive = Alive {
                node,
                inbox,
                process: process.abort_handle(),
            };
            self.nodes().insert(node.name, alive);
            self.audit.record(Audit::NodeJoined, node.name);
            let Err(_) = process.await else {
                return;
            };
            self.bury(node.name);
            let restart = async {
                sleep(Duration::from_millis(30)).await;
                Ok::<_, Infallible>(())
            };
            let _ = self.metrics.recovery("node_restart", restart).await;
        }
    }

    fn bury(&self, node: &'static str) {
        self.nodes().remove(node);
        self.metrics.node_crashed();
        self.audit.record(Audit::NodeCrashed, node);
        self.leases.revoke_all_of(node);
    }

    /// Kills a node in whatever it does; false when there is none of that name.
    pub fn crash(&self, node: &str) -> bool {
        let nodes = self.nodes();
        let alive = nodes.get(node);
        alive.inspect(|alive| alive.process.abort()).is_some()
    }

    async fn rotate_tokens(self: Arc<Self>) {
        let mut rotations = interval(Duration::from_secs(1));
        loop {
            rotations.tick().await;
            self.tokens.rotate();
        }
    }

    fn nodes(&self) -> MutexGuard<'_, BTreeMap<&'static str, Alive>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
