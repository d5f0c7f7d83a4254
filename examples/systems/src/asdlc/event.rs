//! [`Event`]: what goes through the queues.

use serde::Deserialize;

/// Something to do, or the news that it is done.
#[derive(Clone, Debug, Deserialize)]
pub struct Event {
    /// The task that it is about.
    pub task: u64,
    pub event_type: String,
    pub payload: String,
}

/// The event types of results.
pub const TASK_COMPLETED: &str = "task_completed";
pub const TASK_FAILED: &str = "task_failed";

impl Event {
    /// As it is in Redis.
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
