//! [`Node`]: a simulated node, which executes tasks and can crash.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::leases::Grant;
use super::metrics::Validation;
use super::task::Needs;
use super::tokens::Tokens;

/// Name and resources of a node.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    pub name: &'static str,
    pub capabilities: &'static [&'static str],
    pub scopes: &'static [&'static str],
    pub memory_mb: u64,
}

/// A signed message of a node: the task of a lease is done.
#[derive(Clone, Debug)]
pub struct Message {
    pub node: String,
    /// The lease of the completed task.
    pub lease: u64,
    pub signature: u64,
}

impl Node {
    /// Capacity of the queue of a node.
    pub const INBOX: usize = 4;

    /// Checks whether the node can execute a task with these needs.
    pub fn validate(&self, needs: &Needs) -> Validation {
        if !self.capabilities.contains(&needs.capability.as_str()) {
            Validation::CapabilityMissing
        } else if needs.memory_mb > self.memory_mb {
            Validation::ResourceExceeded
        } else if !self.scopes.contains(&needs.scope.as_str()) {
            Validation::ScopeViolation
        } else {
            Validation::Valid
        }
    }

    /// Executes one task at a time, until the inbox or the receiver of results is closed.
    pub async fn run(
        self,
        mut inbox: mpsc::Receiver<Grant>,
        tokens: Arc<Tokens>,
        results: mpsc::Sender<Message>,
    ) {
        while let Some(grant) = inbox.recv().await {
            let work = tokio::time::sleep(Duration::from_millis(grant.task.needs.work_ms));
            tokio::select! {
                _ = grant.ended => continue,
                () = work => {}
            }
            let Some(signature) = tokens.sign(self.name, &grant.lease.to_string()) else {
                continue;
            };
            let message = Message {
                node: self.name.to_owned(),
                lease: grant.lease,
                signature,
            };
            if results.send(message).await.is_err() {
                return;
            }
        }
    }
}
