//! [`AuditLog`]: the latest events, for later inspection.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::metrics::{Audit, OpenClaw};

/// The latest 1000 lines. Older ones are discarded.
pub struct AuditLog {
    metrics: OpenClaw,
    lines: Mutex<VecDeque<String>>,
}

impl AuditLog {
    const MAX_LINES: usize = 1000;

    pub fn new(metrics: OpenClaw) -> Self {
        Self {
            metrics,
            lines: Mutex::default(),
        }
    }

    pub fn record(&self, event: Audit, subject: &str) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == Self::MAX_LINES {
            lines.pop_front();
        }
        lines.push_back(format!("{} {subject}", event.as_str()));
        drop(lines);
        self.metrics.audit_recorded(event);
    }

    pub fn lines(&self) -> Vec<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().cloned().collect()
    }
}
