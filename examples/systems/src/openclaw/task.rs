//! [`Task`]: a task, and what it requires of a node.

use std::time::Duration;

use serde::Deserialize;

use super::metrics::Complexity;

/// A submitted task: its requirements.
#[derive(Clone, Debug, Deserialize)]
pub struct Needs {
    pub capability: String,
    pub complexity: Complexity,
    #[serde(default)]
    pub memory_mb: u64,
    /// Scope of the data that the task accesses.
    #[serde(default = "public")]
    pub scope: String,
    /// Simulated duration of the task in milliseconds.
    #[serde(default)]
    pub work_ms: u64,
}

fn public() -> String {
    "public".to_owned()
}

#[derive(Clone, Debug)]
pub struct Task {
    pub id: u64,
    pub needs: Needs,
    /// Number of the attempt, from 1.
    pub attempt: u32,
}

impl Task {
    /// Attempts after which the task is abandoned.
    pub const ATTEMPTS: u32 = 3;

    /// Returns the task for the next attempt; `None` after the last one.
    pub fn next_attempt(self) -> Option<Self> {
        (self.attempt < Self::ATTEMPTS).then(|| Self {
            attempt: self.attempt + 1,
            ..self
        })
    }

    /// Returns the duration of the lease.
    pub fn lease_duration(&self) -> Duration {
        Duration::from_millis(match self.needs.complexity {
            Complexity::Low => 300,
            Complexity::Medium => 1000,
            Complexity::High => 5000,
        })
    }
}
