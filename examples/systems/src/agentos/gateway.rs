//! The gateway's HTTP API.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode, header};

use super::cache::{Cache, Question};
use super::limits::{Limit, Limits};
use super::metrics::{AgentOperation, AgentOs, Endpoint};
use super::providers::{ContextExceeded, ProviderRouter};

/// Request header with the id of the caller's workspace.
const WORKSPACE_ID: &str = "x-workspace-id";
/// Response header that tells whether the answer was cached: `hit` or `miss`.
const CACHE: &str = "x-cache";

/// The agents behind the gateway, with their descriptions.
const AGENTS: [(&str, &str); 3] = [
    ("planner", "Breaks work into steps.\n"),
    ("researcher", "Finds out.\n"),
    ("writer", "Writes, and shortens what others wrote.\n"),
];

const PER_WORKSPACE: Limit = Limit {
    burst: 10.0,
    per_second: 5.0,
};
const PER_ENDPOINT: Limit = Limit {
    burst: 1_000.0,
    per_second: 500.0,
};

pub struct Gateway {
    metrics: AgentOs,
    cache: Cache,
    limits: Limits,
    providers: ProviderRouter,
}

impl Gateway {
    pub fn new(metrics: AgentOs) -> Self {
        for (agent, _) in AGENTS {
            metrics.agent_registered(agent);
        }
        Self {
            metrics,
            cache: Cache::new(100, Duration::from_secs(10), metrics),
            limits: Limits::new(PER_WORKSPACE, PER_ENDPOINT, metrics),
            providers: ProviderRouter::new(metrics),
        }
    }

    pub fn router(self) -> Router {
        let gateway = Arc::new(self);
        let limited = |endpoint| from_fn_with_state((Arc::clone(&gateway), endpoint), limit);
        let card = get(card).layer(limited(Endpoint::Agent));
        let operation = post(operation).layer(limited(Endpoint::Operation));
        Router::new()
            .route(Endpoint::Agent.as_str(), card)
            .route(Endpoint::Operation.as_str(), operation)
            .with_state(gateway)
    }

    /// Returns the answer from the cache (`hit`) or from a provider (`miss`).
    async fn answer(
        &self,
        question: Question,
    ) -> Result<(&'static str, Arc<str>), ContextExceeded> {
        if let Some(answer) = self.cache.get(&question) {
            return Ok(("hit", answer));
        }
        let answer = self.providers.complete(question.operation, &question.text);
        let answer: Arc<str> = answer.await?.into();
        self.cache.set(question, Arc::clone(&answer));
        Ok(("miss", answer))
    }
}

/// Middleware that applies the rate limits. Only here is the decision final, so only here is it counted.
async fn limit(
    State((gateway, endpoint)): State<(Arc<Gateway>, Endpoint)>,
    request: Request,
    next: Next,
) -> Response {
    let Some(workspace_id) = workspace_of(request.headers()) else {
        let reason = format!(
            "header {WORKSPACE_ID} is required: 1 to 64 ASCII letters, digits or hyphens\n"
        );
        return (StatusCode::BAD_REQUEST, reason).into_response();
    };
    match gateway.limits.decide(endpoint, workspace_id) {
        Ok(()) => next.run(request).await,
        Err(wait) => {
            let seconds = wait.as_secs_f64().ceil().to_string();
            let retry_after = [(header::RETRY_AFTER, seconds)];
            (StatusCode::TOO_MANY_REQUESTS, retry_after).into_response()
        }
    }
}

fn workspace_of(headers: &HeaderMap) -> Option<&str> {
    let workspace_id = headers.get(WORKSPACE_ID)?.to_str().ok()?;
    let is_word = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let is_id = (1..=64).contains(&workspace_id.len()) && is_word(workspace_id);
    is_id.then_some(workspace_id)
}

async fn card(
    State(gateway): State<Arc<Gateway>>,
    Path(agent): Path<String>,
) -> Result<&'static str, StatusCode> {
    let (_, description) = find(&agent)?;
    let mut timer = gateway.metrics.request_timer(&agent, AgentOperation::Card);
    timer.response_bytes = Some(description.len());
    timer.success();
    Ok(description)
}

/// If the client disconnects, this future is dropped at an `await`, and so is the timer: the
/// request is cancelled.
async fn operation(
    State(gateway): State<Arc<Gateway>>,
    Path((agent, operation)): Path<(String, String)>,
    text: String,
) -> Result<Response, StatusCode> {
    let (agent, _) = find(&agent)?;
    let operations = [
        AgentOperation::Answer,
        AgentOperation::Plan,
        AgentOperation::Summarize,
    ];
    let operation = operations
        .into_iter()
        .find(|known| known.as_str() == operation)
        .ok_or(StatusCode::NOT_FOUND)?;
    let question = Question {
        agent: agent.to_owned(),
        operation,
        text,
    };
    let mut timer = gateway.metrics.request_timer(agent, operation);
    let answer = gateway.answer(question).await;
    let response = match &answer {
        Ok((cache_result, text)) => {
            timer.response_bytes = Some(text.len());
            ([(CACHE, *cache_result)], text.to_string()).into_response()
        }
        Err(error) => {
            let reason = format!("{error}\n");
            timer.response_bytes = Some(reason.len());
            (StatusCode::PAYLOAD_TOO_LARGE, reason).into_response()
        }
    };
    timer.finish(&answer);
    Ok(response)
}

fn find(agent: &str) -> Result<(&'static str, &'static str), StatusCode> {
    let found = AGENTS.into_iter().find(|(known, _)| *known == agent);
    found.ok_or(StatusCode::NOT_FOUND)
}
