//! [`Task`]: what is to be done, and what a node must have to do it.

use std::time::Duration;

use serde::Deserialize;

use super::metrics::Complexity;

/// A task as it is submitted.
#[derive(Clone, Debug, Deserialize)]
pub struct Needs {
    pub capability: String,
    pub complexity: Complexity,
    #[serde(default)]
    pub memory_mb: u64,
    /// Whose data it works on.
    #[serde(default = "public")]
    pub scope: String,
    /// How long it takes: here nobody computes anything.
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
    /// The first is 1.
    pub attempt: u32,
}

impl Task {
    /// After so many it is given up.
    pub const ATTEMPTS: u32 = 3;

    pub fn next_attempt(self) -> Option<Self> {
        (self.attempt < Self::ATTEMPTS).then(|| Self {
            attempt: self.attempt + 1,
            ..self
        })
    }

    /// How long a node may take for it.
    pub fn lease(&self) -> Duration {
        Duration::from_millis(match self.needs.complexity {
            Complexity::Low => 300,
            Complexity::Medium => 1000,
            Complexity::High => 5000,
        })
    }
}
