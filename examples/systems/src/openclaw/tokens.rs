//! [`Tokens`]: secrets with which nodes sign their messages.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::audit::AuditLog;
use super::metrics::{AttemptResult, Audit, OpenClaw, TokenRevocation};

/// One token per node. Tokens are rotated, and revoked after a forged message.
pub struct Tokens {
    metrics: OpenClaw,
    audit: Arc<AuditLog>,
    by_node: Mutex<BTreeMap<&'static str, NodeTokens>>,
}

/// A secret. The keyed hash of `std` stands in for a real signature.
type Token = RandomState;

struct NodeTokens {
    current: Token,
    /// The token before the last rotation, still valid for messages that are already sent.
    previous: Option<Token>,
}

impl Tokens {
    pub fn new(metrics: OpenClaw, audit: Arc<AuditLog>) -> Self {
        Self {
            metrics,
            audit,
            by_node: Mutex::default(),
        }
    }

    /// Issues a token to a node that joins, and discards its earlier tokens.
    pub fn issue(&self, node: &'static str) {
        let tokens = NodeTokens {
            current: self.new_token(),
            previous: None,
        };
        self.by_node().insert(node, tokens);
    }

    /// Signs a message with the current token of the node. `None` if the node has no token.
    pub fn sign(&self, node: &str, body: &str) -> Option<u64> {
        let by_node = self.by_node();
        Some(by_node.get(node)?.current.hash_one((node, body)))
    }

    /// Verifies the signature of a message. If it is invalid, revokes the token of the node,
    /// because it may be compromised.
    pub fn verify(&self, node: &str, body: &str, signature: u64) -> bool {
        let matches = |token: &Token| token.hash_one((node, body)) == signature;
        let is_valid = self.by_node().get(node).is_some_and(|tokens| {
            matches(&tokens.current) || tokens.previous.as_ref().is_some_and(matches)
        });
        if is_valid {
            self.metrics.message_verified(AttemptResult::Success);
        } else {
            self.metrics.message_verified(AttemptResult::Failed);
            self.audit.record(Audit::MessageRejected, node);
            self.revoke(node, TokenRevocation::Compromise);
        }
        is_valid
    }

    /// Revokes the token of a node and issues a new one. Returns `false` if the node does not exist.
    pub fn revoke(&self, node: &str, reason: TokenRevocation) -> bool {
        let mut by_node = self.by_node();
        let Some(tokens) = by_node.get_mut(node) else {
            return false;
        };
        let revoked = std::mem::replace(&mut tokens.current, self.new_token());
        tokens.previous = (reason == TokenRevocation::Rotation).then_some(revoked);
        drop(by_node);
        self.metrics.token_revoked(reason);
        self.audit.record(Audit::TokenRevoked, node);
        true
    }

    /// Rotates the tokens of all nodes.
    pub fn rotate(&self) {
        let nodes: Vec<_> = self.by_node().keys().copied().collect();
        for node in nodes {
            self.revoke(node, TokenRevocation::Rotation);
        }
    }

    fn new_token(&self) -> Token {
        self.metrics.token_issued();
        RandomState::new()
    }

    fn by_node(&self) -> MutexGuard<'_, BTreeMap<&'static str, NodeTokens>> {
        self.by_node.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
