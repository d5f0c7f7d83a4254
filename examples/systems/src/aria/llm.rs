//! [`LanguageModel`]: a model as the engine calls it, with its circuit breaker and its price.

use std::fmt;
use std::pin::pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::breaker::CircuitBreaker;
use super::metrics::{Aria, ErrorType};
use super::provider::{Chunk, Provider};

#[derive(Debug)]
pub enum LlmError {
    /// It was not called, because it failed too often.
    CircuitOpen,
    /// It does not take calls now.
    Overloaded,
    /// It did not end its answer.
    BrokenOff,
}

impl ErrorType for LlmError {
    fn error_type(&self) -> &'static str {
        match self {
            Self::CircuitOpen => "CircuitOpen",
            Self::Overloaded => "Overloaded",
            Self::BrokenOff => "BrokenOff",
        }
    }
}

impl fmt::Display for LlmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CircuitOpen => "the model failed too often and is left alone for a moment",
            Self::Overloaded => "the model does not take calls now",
            Self::BrokenOff => "the model broke off",
        })
    }
}

#[derive(Debug)]
pub struct LanguageModel {
    pub name: &'static str,
    pub provider: Provider,
    pub breaker: CircuitBreaker,
    /// In US dollars, for each token.
    price_of_input: f64,
    price_of_output: f64,
    aria: Aria,
}

impl LanguageModel {
    pub fn all(aria: Aria) -> Vec<Self> {
        let model = |name, price: f64, thoughts, per_token| {
            aria.model_known(name);
            Self {
                name,
                provider: Provider::new(thoughts, Duration::from_millis(per_token)),
                breaker: CircuitBreaker::default(),
                price_of_input: price,
                price_of_output: price * 4.0,
                aria,
            }
        };
        vec![
            model("deep", 0.000_015, 5, 12),
            model("quick", 0.000_001, 0, 5),
        ]
    }

    /// The answer to a prompt; each word is also sent to who listens, as it comes.
    pub async fn stream(
        &self,
        prompt: &str,
        listener: Option<&mpsc::Sender<String>>,
    ) -> Result<String, LlmError> {
        self.call(async {
            let chunks = self.provider.stream(prompt);
            let chunks = self.aria.llm_stream(self.name, chunks);
            self.read(prompt, chunks, listener).await
        })
        .await
    }

    /// The answer to a prompt, all at once.
    pub async fn complete(&self, prompt: &str) -> Result<String, LlmError> {
        // Asked only once the breaker lets it pass.
        let answer = async { self.read(prompt, self.provider.stream(prompt), None).await };
        self.call(self.aria.llm_call(self.name, answer)).await
    }

    /// A call, if the circuit breaker lets it pass.
    async fn call(
        &self,
        call: impl Future<Output = Result<String, LlmError>>,
    ) -> Result<String, LlmError> {
        let Some(permit) = self.breaker.admit() else {
            self.aria.llm_refused(&LlmError::CircuitOpen);
            return Err(LlmError::CircuitOpen);
        };
        let answer = call.await;
        match &answer {
            Ok(_) => permit.succeeded(),
            Err(_) => permit.failed(),
        }
        answer
    }

    async fn read(
        &self,
        prompt: &str,
        chunks: impl Stream<Item = Result<Chunk, LlmError>>,
        listener: Option<&mpsc::Sender<String>>,
    ) -> Result<String, LlmError> {
        let mut chunks = pin!(chunks);
        let mut answer = Vec::new();
        let mut thinking = None;
        let mut unread = Some(prompt.split_whitespace().count() as u64);
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk?;
            // Who says something has read the prompt.
            if let Some(tokens) = unread.take() {
                let dollars = tokens as f64 * self.price_of_input;
                self.aria.prompt_read(self.name, tokens, dollars);
            }
            self.aria.token_written(self.name, self.price_of_output);
            match chunk {
                Chunk::Thought => {
                    thinking.get_or_insert_with(Instant::now);
                }
                Chunk::Token(word) => {
                    if let Some(began) = thinking.take() {
                        self.aria.thought(self.name, began.elapsed());
                    }
                    if let Some(listener) = listener {
                        // One that left drops the whole call.
                        let _ = listener.send(word.clone()).await;
                    }
                    answer.push(word);
                }
            }
        }
        Ok(answer.join(" "))
    }
}
