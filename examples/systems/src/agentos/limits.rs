//! [`Limits`]: how many requests may pass, by token buckets. Each endpoint has a bucket for every workspace and one
//! for all of them, and a request takes a token from both or from neither.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::metrics::{AgentOs, Decision, Endpoint};

/// What a bucket holds, and how fast it fills.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    pub burst: f64,
    pub per_second: f64,
}

/// Workspaces with a bucket of their own while they are not full; the rest share one.
pub const MAX_BUCKETS: usize = 10_000;
/// The workspace of those without a bucket of their own. No client can call itself so.
const OTHERS: &str = "";

pub struct Limits {
    workspace: Limit,
    endpoint: Limit,
    buckets: Mutex<Buckets>,
    metrics: AgentOs,
}

#[derive(Default)]
struct Buckets {
    of_workspaces: HashMap<(Endpoint, String), Bucket>,
    of_endpoints: HashMap<Endpoint, Bucket>,
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

    /// Decides once and for all, and counts what was decided.
    ///
    /// # Errors
    ///
    /// The request is refused; there will be a token after this time.
    pub fn decide(&self, endpoint: Endpoint, workspace_id: &str) -> Result<(), Duration> {
        let taken = self.take(endpoint, workspace_id);
        let decision = match taken {
            Ok(()) => Decision::Allowed,
            Err(_) => Decision::Denied,
        };
        self.metrics.decided(endpoint, workspace_id, decision);
        taken
    }

    fn take(&self, endpoint: Endpoint, workspace_id: &str) -> Result<(), Duration> {
        let now = Instant::now();
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let Buckets {
            of_workspaces,
            of_endpoints,
        } = &mut *buckets;
        let mut key = (endpoint, workspace_id.to_owned());
        if of_workspaces.len() >= MAX_BUCKETS && !of_workspaces.contains_key(&key) {
            // One that is full is as good as a new one.
            of_workspaces.retain(|_, bucket| !bucket.is_full(self.workspace, now));
            if of_workspaces.len() >= MAX_BUCKETS {
                OTHERS.clone_into(&mut key.1);
            }
        }
        let own = of_workspaces.entry(key);
        let own = own.or_insert_with(|| Bucket::full(self.workspace, now));
        let shared = of_endpoints.entry(endpoint);
        let shared = shared.or_insert_with(|| Bucket::full(self.endpoint, now));
        let waits = [
            own.token_after(self.workspace, now),
            shared.token_after(self.endpoint, now),
        ];
        let wait = waits.into_iter().max().unwrap_or_default();
        if !wait.is_zero() {
            return Err(wait);
        }
        own.tokens -= 1.0;
        shared.tokens -= 1.0;
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

    /// Fills it; no time at all if there is a token.
    fn token_after(&mut self, limit: Limit, now: Instant) -> Duration {
        self.tokens = self.tokens_at(limit, now);
        self.filled = now;
        let lacks = (1.0 - self.tokens).max(0.0);
        Duration::from_secs_f64(lacks / limit.per_second)
    }
}
