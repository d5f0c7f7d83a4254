//! [`Event`]: the messages of the queues.

use serde::Deserialize;

/// A task for the workers, or the result of one for the orchestrator.
#[derive(Clone, Debug, Deserialize)]
pub struct Event {
    /// Number of the task.
    pub task: u64,
    pub event_type: String,
    pub payload: String,
}

/// The event types of results.
pub const TASK_COMPLETED: &str = "task_completed";
pub const TASK_FAILED: &str = "task_failed";

impl Event {
    /// Returns the event as it is stored in Redis.
    pub fn to_json(&self) -> String {
        let Self {
            task,
            event_type,
            payload,
        } = self;
        serde_json::json!({ "task": task, "event_type": event_type, "payload": payload })
            .to_string()
    }

    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}
