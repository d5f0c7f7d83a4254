//! A built-in client that calls the API in rounds of about two seconds, each with every kind of
//! success and failure.

use std::error::Error;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tokio::time::sleep;

/// Sends requests until one fails.
pub async fn drive(url: String) -> Result<(), Box<dyn Error + Send + Sync>> {
    let traffic = Traffic {
        client: Client::new(),
        url,
    };
    loop {
        traffic.submit_tasks().await?;
        traffic.submit_rejected_tasks().await?;
        traffic.cause_failures().await?;
        traffic.cause_partition().await?;
        sleep(Duration::from_millis(500)).await;
    }
}

struct Traffic {
    client: Client,
    url: String,
}

impl Traffic {
    async fn submit_tasks(&self) -> reqwest::Result<()> {
        for complexity in ["low", "medium", "high"] {
            let task = json!({ "capability": "compile", "complexity": complexity, "work_ms": 5 });
            self.submit(&task).await?;
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Submits tasks that no node can execute, for each of three reasons, and more tasks than the
    /// inbox of a node holds.
    async fn submit_rejected_tasks(&self) -> reqwest::Result<()> {
        for task in [
            json!({ "capability": "levitate", "complexity": "low" }),
            json!({ "capability": "train", "complexity": "high", "memory_mb": 1_000_000 }),
            json!({ "capability": "train", "complexity": "high", "scope": "secret" }),
        ] {
            self.submit(&task).await?;
        }
        for _ in 0..10 {
            let task = json!({ "capability": "train", "complexity": "medium", "work_ms": 50 });
            self.submit(&task).await?;
        }
        Ok(())
    }

    /// Causes an expired lease, a crashed node, a revoked lease, a revoked token and a forged message.
    async fn cause_failures(&self) -> reqwest::Result<()> {
        let hangs = json!({ "capability": "compile", "complexity": "low", "work_ms": 60_000 });
        self.submit(&hangs).await?;
        self.post("/nodes/atlas/crash").await?;
        sleep(Duration::from_millis(100)).await;
        let slow = json!({ "capability": "train", "complexity": "high", "work_ms": 100 });
        let assigned = self.submit(&slow).await?.text().await?;
        let assigned: Value = serde_json::from_str(&assigned).unwrap_or_default();
        self.delete(&format!("/leases/{}", assigned["lease"]))
            .await?;
        self.delete("/nodes/borealis/token").await?;
        let forged = json!({ "node": "borealis", "lease": 1, "signature": 1 });
        self.post_json("/messages", &forged).await?;
        sleep(Duration::from_millis(700)).await;
        Ok(())
    }

    /// Cuts the network while tasks complete, so that their results are buffered, and restores it.
    async fn cause_partition(&self) -> reqwest::Result<()> {
        self.post("/network/cut").await?;
        self.submit_tasks().await?;
        self.post("/results/flush").await?;
        sleep(Duration::from_millis(200)).await;
        self.post("/network/heal").await?;
        Ok(())
    }

    async fn submit(&self, task: &Value) -> reqwest::Result<Response> {
        self.post_json("/tasks", task).await
    }

    async fn post_json(&self, path: &str, body: &Value) -> reqwest::Result<Response> {
        let request = self.client.post(format!("{}{path}", self.url));
        let request = request.header(CONTENT_TYPE, "application/json");
        request.body(body.to_string()).send().await
    }

    async fn post(&self, path: &str) -> reqwest::Result<Response> {
        self.client.post(format!("{}{path}", self.url)).send().await
    }

    async fn delete(&self, path: &str) -> reqwest::Result<Response> {
        let url = format!("{}{path}", self.url);
        self.client.delete(url).send().await
    }
}
