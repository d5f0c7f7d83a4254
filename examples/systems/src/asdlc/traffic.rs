//! A little traffic: a client that does what a user would, over HTTP.

use std::time::Duration;

use super::shutdown::Shutdown;

/// Between two visits.
const PAUSE: Duration = Duration::from_millis(50);

/// What teams hand in, and some of it is not finished.
const EVENTS: [(&str, &str); 5] = [
    ("requirements_submitted", "As a user I want to pay by card."),
    ("design_proposed", "One service.\nOne database."),
    ("code_submitted", "fn pay() {}\n// FIXME: rounding"),
    ("code_submitted", "fn pay() {}\nfn refund() {}"),
    ("tests_submitted", "#[test]\nfn pays() {}"),
];

/// Hands in events and looks what became of them, until the shutdown.
pub async fn drive(orchestrator: String, workers: Option<String>, shutdown: Shutdown) {
    let client = reqwest::Client::new();
    for (event_type, payload) in EVENTS.into_iter().cycle() {
        let visit = async {
            let events = format!("{orchestrator}/api/events/{event_type}");
            let answer = client
                .post(events)
                .body(payload)
                .send()
                .await?
                .text()
                .await?;
            tokio::time::sleep(PAUSE).await;
            if let Some(task) = task_of(&answer) {
                client
                    .get(format!("{orchestrator}/api/tasks/{task}"))
                    .send()
                    .await?;
            }
            if let Some(workers) = &workers {
                client.get(format!("{workers}/pool")).send().await?;
            }
            Ok::<_, reqwest::Error>(())
        };
        let visited = tokio::select! {
            () = shutdown.begun() => return,
            visited = visit => visited,
        };
        if let Err(error) = visited {
            tracing::warn!("the traffic met an error: {error}");
        }
    }
}

fn task_of(answer: &str) -> Option<u64> {
    let answer: serde_json::Value = serde_json::from_str(answer).ok()?;
    answer["task"].as_u64()
}
