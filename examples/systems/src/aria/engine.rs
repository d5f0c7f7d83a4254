//! [`Engine`]: answers messages with agents and models, and stores them in the database.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::mpsc;

use super::database::{Database, PoolTimeout};
use super::llm::{LanguageModel, LlmError};
use super::metrics::{Aria, ErrorType, Role};
use super::router::{Agent, Router};
use super::sessions::Sessions;
use super::skills::{Skill, SkillError, Skills};

#[derive(Debug)]
pub enum EngineError {
    /// All agents are inactive.
    NoAgent,
    Llm(LlmError),
    Database(PoolTimeout),
    Skill(SkillError),
}

impl ErrorType for EngineError {
    fn error_type(&self) -> &'static str {
        match self {
            Self::NoAgent => "NoAgent",
            Self::Llm(error) => error.error_type(),
            Self::Database(error) => error.error_type(),
            Self::Skill(error) => error.error_type(),
        }
    }
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAgent => f.write_str("no agent is active"),
            Self::Llm(error) => error.fmt(f),
            Self::Database(error) => error.fmt(f),
            Self::Skill(error) => error.fmt(f),
        }
    }
}

/// The reply to a message.
#[derive(Debug, Serialize)]
pub struct Reply {
    pub session: u64,
    pub agent: &'static str,
    pub text: String,
}

#[derive(Debug)]
pub struct Engine {
    pub aria: Aria,
    pub models: Vec<LanguageModel>,
    pub router: Router,
    pub sessions: Sessions,
    pub database: Arc<Database>,
    skills: Skills,
}

impl Engine {
    pub fn new(aria: Aria) -> Self {
        let database = Arc::new(Database::new(aria));
        Self {
            aria,
            models: LanguageModel::all(aria),
            router: Router::new(aria),
            sessions: Sessions::new(aria),
            skills: Skills::new(Arc::clone(&database), aria),
            database,
        }
    }

    /// Answers a message with the given agent, or with one that the router chooses.
    ///
    /// The words are also sent to `listener`, as the model writes them.
    pub async fn chat(
        &self,
        session: u64,
        message: &str,
        agent: Option<Agent>,
        listener: Option<&mpsc::Sender<String>>,
    ) -> Result<Reply, EngineError> {
        self.add_message(session, Role::User, message).await?;
        let chosen = agent.or_else(|| self.router.choose());
        let agent = chosen.ok_or(EngineError::NoAgent)?;
        let task = self.answer(agent, message, listener);
        let answer = self.aria.agent_task(agent.id, task).await;
        self.router.update_score(agent, answer.is_ok());
        let text = answer?;
        self.add_message(session, Role::Assistant, &text).await?;
        Ok(Reply {
            session,
            agent: agent.id,
            text,
        })
    }

    async fn answer(
        &self,
        agent: Agent,
        message: &str,
        listener: Option<&mpsc::Sender<String>>,
    ) -> Result<String, EngineError> {
        let model = self.model(agent.model).ok_or(EngineError::NoAgent)?;
        let answer = model.stream(message, listener).await;
        answer.map_err(EngineError::Llm)
    }

    async fn add_message(&self, session: u64, role: Role, text: &str) -> Result<(), EngineError> {
        self.sessions.message(session, role);
        let inserted = self.database.insert(session, text.to_owned()).await;
        inserted.map_err(EngineError::Database)
    }

    /// Closes a session and deletes its messages.
    pub async fn close(&self, session: u64) -> Result<(), EngineError> {
        self.sessions.close(session);
        let deleted = self.database.delete(session).await;
        deleted.map_err(EngineError::Database)
    }

    pub async fn skill(&self, skill: Skill, input: &str) -> Result<String, EngineError> {
        let output = self.skills.execute(skill, input).await;
        output.map_err(EngineError::Skill)
    }

    pub fn model(&self, name: &str) -> Option<&LanguageModel> {
        self.models.iter().find(|model| model.name == name)
    }
}
