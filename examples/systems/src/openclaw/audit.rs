//! [`AuditLog`]: what happened, for who asks later.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::metrics::{Audit, OpenClaw};

/// The latest lines; what is older is forgotten.
pub struct AuditLog {
    metrics: OpenClaw,
    lines: Mutex<VecDeque<String>>,
}

impl AuditLog {
    const LINES: usize = 1000;

    pub fn new(metrics: OpenClaw) -> Self {
        Self {
            metrics,
            lines: Mutex::default(),
        }
    }

    pub fn record(&self, event: Audit, about: &str) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == Self::LINES {
            lines.pop_front();
        }
        lines.push_back(format!("{} {about}", event.as_str()));
        drop(lines);
        self.metrics.audited(event);
    }

    pub fn lines(&self) -> Vec<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().cloned().collect()
    }
}
