//! [`Tokens`]: what nodes sign their messages with.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::audit::AuditLog;
use super::metrics::{Audit, OpenClaw, TokenRevocation, Verdict};

/// A token for each node. They rotate; one that was seen in a forged message is taken back.
pub struct Tokens {
    metrics: OpenClaw,
    audit: Arc<AuditLog>,
    of_nodes: Mutex<BTreeMap<&'static str, NodeTokens>>,
}

/// A secret; std's keyed hash stands in for a real signature.
type Token = RandomState;

struct NodeTokens {
    current: Token,
    /// The one before a rotation, for messages that are under way.
    rotated: Option<Token>,
}

impl Tokens {
    pub fn new(metrics: OpenClaw, audit: Arc<AuditLog>) -> Self {
        Self {
            metrics,
            audit,
            of_nodes: Mutex::default(),
        }
    }

    /// Gives a node its first token, or another one when it joins again.
    pub fn issue(&self, node: &'static str) {
        let tokens = NodeTokens {
            current: self.new_token(),
            rotated: None,
        };
        self.of_nodes().insert(node, tokens);
    }

    /// What the node signs a message with, if it has a token.
    pub fn sign(&self, node: &str, body: &str) -> Option<u64> {
        let of_nodes = self.of_nodes();
        Some(of_nodes.get(node)?.current.hash_one((node, body)))
    }

    /// Whether a message is of the node that it says. If not, whoever sent it may know the node's token.
    pub fn verify(&self, node: &str, body: &str, signature: u64) -> bool {
        let is_of = |token: &Token| token.hash_one((node, body)) == signature;
        let is_valid = self.of_nodes().get(node).is_some_and(|tokens| {
            is_of(&tokens.current) || tokens.rotated.as_ref().is_some_and(is_of)
        });
        if is_valid {
            self.metrics.message_verified(Verdict::Success);
        } else {
            self.metrics.message_verified(Verdict::Failed);
            self.audit.record(Audit::MessageRejected, node);
            self.revoke(node, TokenRevocation::Compromise);
        }
        is_valid
    }

    /// Replaces a node's token; false when there is no such node.
    pub fn revoke(&self, node: &str, reason: TokenRevocation) -> bool {
        let mut of_nodes = self.of_nodes();
        let Some(tokens) = of_nodes.get_mut(node) else {
            return false;
        };
        let revoked = std::mem::replace(&mut tokens.current, self.new_token());
        tokens.rotated = (reason == TokenRevocation::Rotation).then_some(revoked);
        drop(of_nodes);
        self.metrics.token_revoked(reason);
        self.audit.record(Audit::TokenRevoked, node);
        true
    }

    pub fn rotate(&self) {
        let nodes: Vec<_> = self.of_nodes().keys().copied().collect();
        for node in nodes {
            self.revoke(node, TokenRevocation::Rotation);
        }
    }

    fn new_token(&self) -> Token {
        self.metrics.token_issued();
        RandomState::new()
    }

    fn of_nodes(&self) -> MutexGuard<'_, BTreeMap<&'static str, NodeTokens>> {
        self.of_nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
