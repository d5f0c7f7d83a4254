//! A built-in client that calls the gateway over HTTP.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode};

/// Pause between two rounds.
const PAUSE: Duration = Duration::from_millis(100);
/// Client timeout of a request for a long plan: it ends before the plan is complete.
const TIMEOUT: Duration = Duration::from_millis(200);

/// One workspace per round, so that each stays below its limit.
const WORKSPACES: [&str; 4] = ["acme", "globex", "initech", "umbrella"];
/// The workspace that exceeds its limit, because it sends many requests at once.
const GREEDY: &str = "hooli";

const QUESTIONS: [&str; 3] = [
    "What is the capital of France?",
    "How far is the moon?",
    "Who wrote Faust?",
];

/// Sends requests until the future is dropped.
pub async fn drive(gateway: String) {
    let client = Client::new();
    for (round, workspace) in WORKSPACES.into_iter().cycle().enumerate() {
        let caller = Caller {
            client: &client,
            gateway: &gateway,
            workspace,
        };
        if let Err(error) = caller.run(round).await {
            tracing::warn!("request of the built-in client failed: {error}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

struct Caller<'a> {
    client: &'a Client,
    gateway: &'a str,
    workspace: &'a str,
}

impl Caller<'_> {
    async fn run(&self, round: usize) -> reqwest::Result<()> {
        let question = QUESTIONS[round % QUESTIONS.len()];
        finish(self.post("researcher/answer", question)).await?;
        match round % 10 {
            0 => finish(self.post("planner/plan", &format!("ship release {round}"))).await?,
            2 => finish(self.post("writer/summarize", &question.repeat(10))).await?,
            4 => finish(self.card("writer")).await?,
            // Exceeds the context window of the model.
            6 => finish(self.post("writer/summarize", &"word ".repeat(2_000))).await?,
            8 => self.time_out(round).await,
            9 => self.exceed_limit().await?,
            _ => StatusCode::OK,
        };
        Ok(())
    }

    fn post(&self, path: &str, text: &str) -> RequestBuilder {
        let url = format!("{}/a2a/{path}", self.gateway);
        self.with_workspace(self.client.post(url).body(text.to_owned()))
    }

    fn card(&self, agent: &str) -> RequestBuilder {
        let url = format!("{}/a2a/{agent}", self.gateway);
        self.with_workspace(self.client.get(url))
    }

    fn with_workspace(&self, request: RequestBuilder) -> RequestBuilder {
        request.header("x-workspace-id", self.workspace)
    }

    async fn time_out(&self, round: usize) -> StatusCode {
        let long = format!("{round} {}", "milestone ".repeat(500));
        let request = self.post("planner/plan", &long).timeout(TIMEOUT);
        finish(request).await.unwrap_or(StatusCode::REQUEST_TIMEOUT)
    }

    async fn exceed_limit(&self) -> reqwest::Result<StatusCode> {
        let greedy = Caller {
            workspace: GREEDY,
            ..*self
        };
        for _ in 0..15 {
            finish(greedy.card("researcher")).await?;
        }
        Ok(StatusCode::OK)
    }
}

/// Sends a request and reads the whole response, so that the connection can be reused.
async fn finish(request: RequestBuilder) -> reqwest::Result<StatusCode> {
    let response = request.send().await?;
    let status = response.status();
    response.bytes().await?;
    Ok(status)
}
