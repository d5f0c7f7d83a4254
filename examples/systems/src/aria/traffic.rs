//! A built-in client that calls the whole API: conversations, skills, jobs, an overloaded model,
//! cancelled requests.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::http::header::CONTENT_TYPE;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tower::ServiceExt;

const PAUSE: Duration = Duration::from_millis(40);

/// Sends requests until the future is dropped.
pub async fn drive(api: Router) {
    let client = Client(api);
    for round in 0_u64.. {
        client.converse(round).await;
        match round % 8 {
            0 => {
                client
                    .post("/skills/count_words", &json!("as many as these"))
                    .await
            }
            1 => client.post("/jobs/digest/runs", &Value::Null).await,
            3 => client.post("/skills/divide", &json!("many")).await,
            5 => client.overload_model().await,
            7 => client.cancel_request().await,
            _ => client.post("/skills/scan", &json!(10)).await,
        };
    }
}

struct Client(Router);

impl Client {
    /// A session of three messages.
    async fn converse(&self, round: u64) {
        let mut session = Value::Null;
        for message in ["hello there", "and now something longer", "bye"] {
            let message = json!({ "message": message, "session": session });
            let reply = self.post("/chat", &message).await;
            let reply = serde_json::from_slice(&reply).unwrap_or(Value::Null);
            session = reply["session"].clone();
            sleep(PAUSE).await;
        }
        self.post("/chat/stream", &json!({ "message": "as it comes" }))
            .await;
        // In odd rounds the session stays open, so that the scheduler closes it as idle.
        if round.is_multiple_of(2) && session.is_number() {
            self.send("DELETE", &format!("/sessions/{session}"), &Value::Null)
                .await;
        }
    }

    /// Makes a model fail until its circuit breaker opens, then removes the fault.
    async fn overload_model(&self) -> Vec<u8> {
        self.send("PUT", "/models/quick/fault", &json!("overloaded"))
            .await;
        for _ in 0..5 {
            let message = json!({ "message": "anyone?", "agent": "clerk" });
            self.post("/chat", &message).await;
            sleep(PAUSE).await;
        }
        self.send("PUT", "/models/quick/fault", &json!("none"))
            .await
    }

    async fn cancel_request(&self) -> Vec<u8> {
        let message = json!({ "message": "never mind", "agent": "researcher" });
        let answer = timeout(Duration::from_millis(20), self.post("/chat", &message));
        answer.await.unwrap_or_default()
    }

    async fn post(&self, path: &str, body: &Value) -> Vec<u8> {
        self.send("POST", path, body).await
    }

    /// Returns the response body, whatever the status; an empty one if the body is aborted.
    async fn send(&self, method: &str, path: &str, body: &Value) -> Vec<u8> {
        // Skills take plain text instead of JSON.
        let text = body.as_str().filter(|_| path.starts_with("/skills"));
        let body = text.map_or_else(|| body.to_string(), str::to_owned);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(CONTENT_TYPE, "application/json")
            .body(Body::from(body));
        let Ok(request) = request else {
            return Vec::new();
        };
        let Ok(response) = self.0.clone().oneshot(request).await;
        let body = response.into_body().collect().await;
        body.map(|body| body.to_bytes().to_vec())
            .unwrap_or_default()
    }
}
