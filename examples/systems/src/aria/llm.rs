//! [`LanguageModel`]: a model with its provider, circuit breaker and prices.

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
    /// The call was rejected, because the circuit breaker is open.
    CircuitOpen,
    /// The provider rejected the call.
    Overloaded,
    /// The provider did not complete the answer.
    StreamAborted,
}

impl ErrorType for LlmError {
    fn error_type(&self) -> &'static str {
        match self {
            Self::CircuitOpen => "CircuitOpen",
            Self::Overloaded => "Overloaded",
            Self::StreamAborted => "StreamAborted",
        }
    }
}

impl fmt::Display for LlmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CircuitOpen => "the circuit breaker of the model is open",
            Self::Overloaded => "the model is overloaded",
            Self::StreamAborted => "the model aborted its answer",
        })
    }
}

#[derive(Debug)]
pub struct LanguageModel {
    pub name: &'static str,
    pub provider: Provider,
    pub breaker: CircuitBreaker,
    /// US dollars per input token.
    input_price: f64,
    /// US dollars per output token.
    output_price: f64,
    aria: Aria,
}

impl LanguageModel {
    pub fn all(aria: Aria) -> Vec<Self> {
        let model = |name, price: f64, thoughts, per_token| {
            aria.preregister_model(name);
            Self {
                name,
                provider: Provider::new(thoughts, Duration::from_millis(per_token)),
                breaker: CircuitBreaker::default(),
                input_price: price,
                output_price: price * 4.0,
                aria,
            }
        };
        vec![
            model("deep", 0.000_015, 5, 12),
            model("quick", 0.000_001, 0, 5),
        ]
    }

    /// Returns the answer to a prompt. Each word is also sent to `listener`, as the model writes it.
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

    /// Returns the answer to a prompt, without streaming.
    pub async fn complete(&self, prompt: &str) -> Result<String, LlmError> {
        // `async`, so that the provider is called only if the breaker allows the call.
        let answer = async { self.read(prompt, self.provider.stream(prompt), None).await };
        self.call(self.aria.llm_call(self.name, answer)).await
    }

    /// Makes a call if the circuit breaker allows it, and reports the result to the breaker.
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
        let mut input_tokens = Some(prompt.split_whitespace().count() as u64);
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk?;
            // The first chunk shows that the model has read the prompt.
            if let Some(tokens) = input_tokens.take() {
                let dollars = tokens as f64 * self.input_price;
                self.aria.prompt_read(self.name, tokens, dollars);
            }
            self.aria.token_written(self.name, self.output_price);
            match chunk {
                Chunk::Thought => {
                    thinking.get_or_insert_with(Instant::now);
                }
                Chunk::Token(word) => {
                    if let Some(start) = thinking.take() {
                        self.aria.thinking_finished(self.name, start.elapsed());
                    }
                    if let Some(listener) = listener {
                        // If the client disconnected, this whole future is dropped; no need to check.
                        let _ = listener.send(word.clone()).await;
                    }
                    answer.push(word);
                }
            }
        }
        Ok(answer.join(" "))
    }
}
