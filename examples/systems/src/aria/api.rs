//! The HTTP API of the engine.
//!
//! `aria_requests_total` counts the requests that reach the engine, by method name. It does not
//! count requests that are rejected before (such as those with an unknown session or an invalid
//! body) or the operators' settings (paused jobs, active agents, faults). The HTTP layer counts all
//! of them.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, post, put};
use axum::{Json, Router};
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use tokio::sync::mpsc;

use super::engine::{Engine, EngineError, Reply};
use super::provider::Fault;
use super::router::{AGENTS, Agent};
use super::scheduler::Scheduler;
use super::skills::Skill;

#[derive(Clone)]
struct Api {
    engine: Arc<Engine>,
    scheduler: Arc<Scheduler>,
}

/// A message to the engine. Without a session, a new one is opened; without an agent, the router chooses one.
#[derive(Deserialize)]
struct Message {
    message: String,
    session: Option<u64>,
    agent: Option<String>,
}

const METHODS: [&str; 5] = [
    "chat",
    "chat_stream",
    "close_session",
    "run_skill",
    "run_job",
];

pub fn router(engine: Arc<Engine>, scheduler: Arc<Scheduler>) -> Router {
    for method in METHODS {
        engine.aria.preregister_method(method);
    }
    Router::new()
        .route("/chat", post(chat))
        .route("/chat/stream", post(chat_stream))
        .route("/sessions/{id}", delete(close_session))
        .route("/skills/{name}", post(skill))
        .route("/jobs/{id}/runs", post(run_job))
        .route("/jobs/{id}/paused", put(pause_job))
        .route("/agents/{id}/active", put(activate_agent))
        .route("/models/{name}/fault", put(set_fault))
        .with_state(Api { engine, scheduler })
}

impl IntoResponse for EngineError {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, format!("{self}\n")).into_response()
    }
}

impl Api {
    /// Returns the session and the agent of a message; opens a session if the message names none.
    fn resolve(&self, message: &Message) -> Result<(u64, Option<Agent>), StatusCode> {
        let by_name = |name: &String| {
            let agent = AGENTS.into_iter().find(|agent| agent.id == *name);
            agent.ok_or(StatusCode::NOT_FOUND)
        };
        let agent = message.agent.as_ref().map(by_name).transpose()?;
        let sessions = &self.engine.sessions;
        let session = match message.session {
            Some(session) if sessions.contains(session) => session,
            Some(_) => return Err(StatusCode::NOT_FOUND),
            None => sessions.open(),
        };
        Ok((session, agent))
    }
}

async fn chat(
    State(api): State<Api>,
    Json(message): Json<Message>,
) -> Result<Json<Reply>, Response> {
    let (session, agent) = api.resolve(&message).map_err(StatusCode::into_response)?;
    let engine = &api.engine;
    let work = engine.chat(session, &message.message, agent, None);
    let reply = engine.aria.request("chat", work).await;
    reply.map(Json).map_err(EngineError::into_response)
}

/// Streams the words of the reply. The request ends with the response body.
async fn chat_stream(
    State(api): State<Api>,
    Json(message): Json<Message>,
) -> Result<Body, StatusCode> {
    let (session, agent) = api.resolve(&message)?;
    let (sender, mut words) = mpsc::channel::<String>(4);
    let engine = api.engine;
    let request = async move {
        let work = engine.chat(session, &message.message, agent, Some(&sender));
        engine.aria.request("chat_stream", work).await
    };
    let words = stream::poll_fn(move |cx| words.poll_recv(cx));
    let words = words.map(|word| Ok(format!("{word} ")));
    let end = stream::once(request).map(|reply| match reply {
        Ok(_) => Ok("\n".to_owned()),
        // Fails the body, so that clients do not take it for complete.
        Err(error) => Err(error.to_string()),
    });
    Ok(Body::from_stream(stream::select(words, end)))
}

async fn close_session(
    State(api): State<Api>,
    Path(id): Path<u64>,
) -> Result<StatusCode, Response> {
    let engine = &api.engine;
    if !engine.sessions.contains(id) {
        return Err(StatusCode::NOT_FOUND.into_response());
    }
    let closed = engine.aria.request("close_session", engine.close(id)).await;
    closed
        .map(|()| StatusCode::NO_CONTENT)
        .map_err(EngineError::into_response)
}

async fn skill(
    State(api): State<Api>,
    Path(name): Path<String>,
    input: String,
) -> Result<String, Response> {
    let engine = &api.engine;
    let skill = Skill::by_name(&name).ok_or(StatusCode::NOT_FOUND.into_response())?;
    let work = engine.skill(skill, &input);
    let output = engine.aria.request("run_skill", work).await;
    output.map_err(EngineError::into_response)
}

async fn run_job(State(api): State<Api>, Path(id): Path<String>) -> Result<StatusCode, Response> {
    let Api { engine, scheduler } = &api;
    let job = scheduler.job(&id);
    let job = job.ok_or(StatusCode::NOT_FOUND.into_response())?;
    let run = engine.aria.request("run_job", scheduler.run(job)).await;
    run.map(|()| StatusCode::NO_CONTENT)
        .map_err(EngineError::into_response)
}

async fn pause_job(
    State(api): State<Api>,
    Path(id): Path<String>,
    Json(paused): Json<bool>,
) -> Result<StatusCode, StatusCode> {
    let job = api.scheduler.job(&id).ok_or(StatusCode::NOT_FOUND)?;
    match paused {
        true => api.scheduler.pause(job),
        false => api.scheduler.resume(job),
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn activate_agent(
    State(api): State<Api>,
    Path(id): Path<String>,
    Json(active): Json<bool>,
) -> StatusCode {
    match api.engine.router.set_active(&id, active) {
        true => StatusCode::NO_CONTENT,
        false => StatusCode::NOT_FOUND,
    }
}

async fn set_fault(
    State(api): State<Api>,
    Path(name): Path<String>,
    Json(fault): Json<Fault>,
) -> Result<StatusCode, StatusCode> {
    let model = api.engine.model(&name).ok_or(StatusCode::NOT_FOUND)?;
    model.provider.set_fault(fault);
    Ok(StatusCode::NO_CONTENT)
}
