//! A little traffic, over the API like anybody's.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode};

/// Between two rounds.
const PAUSE: Duration = Duration::from_millis(100);
/// When somebody who waits for a long plan has had enough.
const PATIENCE: Duration = Duration::from_millis(200);

/// They take turns, and so stay below their limits.
const WORKSPACES: [&str; 4] = ["acme", "globex", "initech", "umbrella"];
/// Asks for everything at once.
const GREEDY: &str = "hooli";

const QUESTIONS: [&str; 3] = [
    "What is the capital of France?",
    "How far is the moon?",
    "Who wrote Faust?",
];

/// Goes on until it is dropped.
pub async fn drive(gateway: String) {
    let client = Client::new();
    for (round, workspace) in WORKSPACES.into_iter().cycle().enumerate() {
        let visitor = Visitor {
            client: &client,
            gateway: &gateway,
            workspace,
        };
        if let Err(error) = visitor.visit(round).await {
            tracing::warn!("the traffic met an error: {error}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

struct Visitor<'a> {
    client: &'a Client,
    gateway: &'a str,
    workspace: &'a str,
}

impl Visitor<'_> {
    async fn visit(&self, round: usize) -> reqwest::Result<()> {
        let question = QUESTIONS[round % QUESTIONS.len()];
        finish(self.ask("researcher/answer", question)).await?;
        match round % 10 {
            0 => finish(self.ask("planner/plan", &format!("ship release {round}"))).await?,
            2 => finish(self.ask("writer/summarize", &question.repeat(10))).await?,
            4 => finish(self.card("writer")).await?,
            // More than the model reads.
            6 => finish(self.ask("writer/summarize", &"word ".repeat(2_000))).await?,
            8 => self.give_up(round).await,
            9 => self.be_greedy().await?,
            _ => StatusCode::OK,
        };
        Ok(())
    }

    fn ask(&self, path: &str, text: &str) -> RequestBuilder {
        let url = format!("{}/a2a/{path}", self.gateway);
        self.of_workspace(self.client.post(url).body(text.to_owned()))
    }

    fn card(&self, agent: &str) -> RequestBuilder {
        let url = format!("{}/a2a/{agent}", self.gateway);
        self.of_workspace(self.client.get(url))
    }

    fn of_workspace(&self, request: RequestBuilder) -> RequestBuilder {
        request.header("x-workspace-id", self.workspace)
    }

    async fn give_up(&self, round: usize) -> StatusCode {
        let long = format!("{round} {}", "milestone ".repeat(500));
        let asked = self.ask("planner/plan", &long).timeout(PATIENCE);
        finish(asked).await.unwrap_or(StatusCode::REQUEST_TIMEOUT)
    }

    async fn be_greedy(&self) -> reqwest::Result<StatusCode> {
        let greedy = Visitor {
            workspace: GREEDY,
            ..*self
        };
        for _ in 0..15 {
            finish(greedy.card("researcher")).await?;
        }
        Ok(StatusCode::OK)
    }
}

/// Reads it to its end, so that the connection can be used again.
async fn finish(request: RequestBuilder) -> reqwest::Result<StatusCode> {
    let response = request.send().await?;
    let status = response.status();
    response.bytes().await?;
    Ok(status)
}
