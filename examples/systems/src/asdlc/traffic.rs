//! A built-in client that calls the services over HTTP.

use std::time::Duration;

use super::shutdown::Shutdown;

/// Pause between submitting an event and asking for its state.
const PAUSE: Duration = Duration::from_millis(50);

/// Event types with their payloads. The one with `FIXME` fails.
const EVENTS: [(&str, &str); 5] = [
    ("requirements_submitted", "As a user I want to pay by card."),
    ("design_proposed", "One service.\nOne database."),
    ("code_submitted", "fn pay() {}\n// FIXME: rounding"),
    ("code_submitted", "fn pay() {}\nfn refund() {}"),
    ("tests_submitted", "#[test]\nfn pays() {}"),
];

/// Submits events and asks for the state of their tasks, until shutdown.
pub async fn drive(orchestrator: String, workers: Option<String>, shutdown: Shutdown) {
    let client = reqwest::Client::new();
    for (event_type, payload) in EVENTS.into_iter().cycle() {
        let round = async {
            let events = format!("{orchestrator}/api/events/{event_type}");
            let response = client
                .post(events)
                .body(payload)
                .send()
                .await?
                .text()
                .await?;
            tokio::time::sleep(PAUSE).await;
            if let Some(task) = task_of(&response) {
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
        let result = tokio::select! {
            () = shutdown.requested() => return,
            result = round => result,
        };
        if let Err(error) = result {
            tracing::warn!("request of the built-in client failed: {error}");
        }
    }
}

fn task_of(response: &str) -> Option<u64> {
    let response: serde_json::Value = serde_json::from_str(response).ok()?;
    response["task"].as_u64()
}
