//! Simulated LLM providers, and [`ProviderRouter`], which chooses between them.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use super::metrics::{AgentOperation, AgentOs, Provider, TaskType};

/// Chooses a provider by operation, and sends the prompt to it.
#[derive(Clone, Copy)]
pub struct ProviderRouter {
    metrics: AgentOs,
}

impl ProviderRouter {
    pub fn new(metrics: AgentOs) -> Self {
        Self { metrics }
    }

    pub async fn complete(
        self,
        operation: AgentOperation,
        prompt: &str,
    ) -> Result<String, ContextExceeded> {
        let (provider, task_type) = match operation {
            AgentOperation::Plan => (Provider::Large, TaskType::Think),
            AgentOperation::Summarize => (Provider::Small, TaskType::Background),
            AgentOperation::Answer | AgentOperation::Card => (Provider::Small, TaskType::Default),
        };
        let model = Model::of(provider);
        let work = model.complete(task_type, prompt);
        let completed = self.metrics.provider_request(provider, task_type, work);
        let text = completed.await?;
        self.metrics
            .record_tokens(provider, tokens(prompt), tokens(&text));
        Ok(text)
    }
}

/// The prompt exceeds the context window of the model.
#[derive(Debug)]
pub struct ContextExceeded {
    tokens: usize,
    /// Maximum number of input tokens.
    context: usize,
}

impl fmt::Display for ContextExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tokens, context } = self;
        write!(
            f,
            "prompt is too long: at most {context} tokens are allowed, got {tokens}"
        )
    }
}

impl Error for ContextExceeded {}

/// A simulated model: it sleeps before the answer and for each output token.
struct Model {
    /// Maximum number of input tokens.
    context: usize,
    initial_delay: Duration,
    per_token: Duration,
}

impl Model {
    fn of(provider: Provider) -> Self {
        let (context, initial_delay, per_token) = match provider {
            Provider::Small => (1_000, 5, 1),
            Provider::Large => (4_000, 20, 5),
        };
        Self {
            context,
            initial_delay: Duration::from_millis(initial_delay),
            per_token: Duration::from_millis(per_token),
        }
    }

    async fn complete(&self, task_type: TaskType, prompt: &str) -> Result<String, ContextExceeded> {
        tokio::time::sleep(self.initial_delay).await;
        let (tokens_in, context) = (tokens(prompt), self.context);
        if tokens_in > context {
            let tokens = tokens_in;
            return Err(ContextExceeded { tokens, context });
        }
        let text = write(task_type, prompt);
        let tokens_out = u32::try_from(tokens(&text)).unwrap_or(u32::MAX);
        tokio::time::sleep(self.per_token * tokens_out).await;
        Ok(text)
    }
}

fn write(task_type: TaskType, prompt: &str) -> String {
    let words = prompt.split_whitespace();
    match task_type {
        TaskType::Default => format!("You asked: {prompt}"),
        TaskType::Background => words.take(5).collect::<Vec<_>>().join(" "),
        TaskType::Think => words.map(|word| format!("Consider {word}.\n")).collect(),
    }
}

/// Each word is one token.
fn tokens(text: &str) -> usize {
    text.split_whitespace().count()
}
