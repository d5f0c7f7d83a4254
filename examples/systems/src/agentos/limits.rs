//! [`Limits`]: rate limits by token buckets. Each endpoint has a bucket per workspace and one for
//! all workspaces. A request takes a token from both or from neither.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::metrics::{AgentOs, Decision, Endpoint};

/// Capacity of a bucket in tokens, and the number of tokens added per second.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    pub burst: f64,
    pub per_second: f64,
}

/// Maximum number of workspace buckets. Beyond it, full buckets are removed; if none is full, new
/// workspaces share one bucket per endpoint.
pub const MAX_BUCKETS: usize = 10_000;
/// Workspace id of the shared bucket. No client can send it, because the gateway rejects an empty id.
const SHARED: &str = "";

pub struct Limits {
    workspace: Limit,
    endpoint: Limit,
    buckets: Mutex<Buckets>,
    metrics: AgentOs,
}

#[derive(Default)]
struct Buckets {
    by_workspace: HashMap<(Endpoint, String), Bucket>,
    by_endpoint: HashMap<Endpoint, Bucket>,
}

impl Limits {
    pub fn new(workspace: Limit, endpoint: Limit, metrics: AgentOs) -> Self {
        Self {
            workspace,
            endpoint,
            buckets: Mutex::default(),
            metrics,
        }
    }

    /// Decides whether a request is allowed, and counts the decision.
    ///
    /// # Errors
    ///
    /// If the request is denied: the time until a token is available.
    pub fn decide(&self, endpoint: Endpoint, workspace_id: &str) -> Result<(), Duration> {
        let taken = self.take(endpoint, workspace_id);
        let decision = match taken {
            Ok(()) => Decision::Allowed,
            Err(_) => Decision::Denied,
        };
        self.metrics
            .record_decision(endpoint, workspace_id, decision);
        taken
    }

    fn take(&self, endpoint: Endpoint, workspace_id: &str) -> Result<(), Duration> {
        let now = Instant::now();
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let Buckets {
            by_workspace,
            by_endpoint,
        } = &mut *buckets;
        let mut key = (endpoint, workspace_id.to_owned());
        if by_workspace.len() >= MAX_BUCKETS && !by_workspace.contains_key(&key) {
            // A full bucket equals a new one, so nothing is lost by removing it.
            by_workspace.retain(|_, bucket| !bucket.is_full(self.workspace, now));
            if by_workspace.len() >= MAX_BUCKETS {
                SHARED.clone_into(&mut key.1);
            }
        }
        let per_workspace = by_workspace.entry(key);
        let per_workspace = per_workspace.or_insert_with(|| Bucket::full(self.workspace, now));
        let per_endpoint = by_endpoint.entry(endpoint);
        let per_endpoint = per_endpoint.or_insert_with(|| Bucket::full(self.endpoint, now));
        let waits = [
            per_workspace.refill(self.workspace, now),
            per_endpoint.refill(self.endpoint, now),
        ];
        let wait = waits.into_iter().max().unwrap_or_default();
        if !wait.is_zero() {
            return Err(wait);
        }
        per_workspace.tokens -= 1.0;
        per_endpoint.tokens -= 1.0;
        Ok(())
    }
}

struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    fn full(limit: Limit, now: Instant) -> Self {
        Self {
            tokens: limit.burst,
            filled: now,
        }
    }

    fn is_full(&self, limit: Limit, now: Instant) -> bool {
        self.tokens_at(limit, now) >= limit.burst
    }

    fn tokens_at(&self, limit: Limit, now: Instant) -> f64 {
        let since = now.saturating_duration_since(self.filled).as_secs_f64();
        limit.burst.min(self.tokens + since * limit.per_second)
    }

    /// Adds the tokens due by now. Returns the time until a token is available, zero if one is available now.
    fn refill(&mut self, limit: Limit, now: Instant) -> Duration {
        self.tokens = self.tokens_at(limit, now);
        self.filled = now;
        let missing = (1.0 - self.tokens).max(0.0);
        Duration::from_secs_f64(missing / limit.per_second)
    }
}
