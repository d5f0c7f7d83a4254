//! [`Provider`]: a simulated provider of a language model. It streams its answer line by line, and
//! can be made to fail.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::{Stream, stream};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::llm::LlmError;

/// A fault to simulate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    #[default]
    None,
    /// Rejects calls.
    Overloaded,
    /// Accepts calls and never answers.
    Hangs,
    /// Aborts the stream after the first line.
    AbortsStream,
    /// Sends a line that makes the decoder panic.
    Malformed,
}

/// A part of the answer.
#[derive(Debug)]
pub enum Chunk {
    Thought,
    Token(String),
}

#[derive(Debug)]
pub struct Provider {
    pub thoughts: u32,
    pub per_token: Duration,
    fault: Mutex<Fault>,
}

impl Provider {
    pub fn new(thoughts: u32, per_token: Duration) -> Self {
        Self {
            thoughts,
            per_token,
            fault: Mutex::default(),
        }
    }

    pub fn set_fault(&self, fault: Fault) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// Streams the answer to a prompt. The provider stops when the stream is dropped.
    pub fn stream(&self, prompt: &str) -> impl Stream<Item = Result<Chunk, LlmError>> + use<> {
        let (sender, mut receiver) = mpsc::channel(4);
        let fault = *self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = self.answer(prompt);
        tokio::spawn(send_lines(lines, self.per_token, fault, sender));
        stream::poll_fn(move |cx| {
            let line = receiver.poll_recv(cx);
            line.map(|line| line.map(|line| line.map(|line| decode(&line))))
        })
    }

    /// Returns the lines of a complete answer: `t` for a thought or `w` for a word, followed by the text.
    fn answer(&self, prompt: &str) -> Vec<String> {
        let thoughts = (0..self.thoughts).map(|n| format!("tthought {n}"));
        let words = ["You", "said:"]
            .into_iter()
            .chain(prompt.split_whitespace());
        thoughts
            .chain(words.map(|word| format!("w{word}")))
            .collect()
    }
}

async fn send_lines(
    lines: Vec<String>,
    per_token: Duration,
    fault: Fault,
    sender: mpsc::Sender<Result<String, LlmError>>,
) {
    let count = match fault {
        Fault::None => lines.len(),
        Fault::AbortsStream => 1,
        Fault::Overloaded | Fault::Hangs | Fault::Malformed => 0,
    };
    for line in lines.into_iter().take(count) {
        sleep(per_token).await;
        if sender.send(Ok(line)).await.is_err() {
            return;
        }
    }
    let last = match fault {
        Fault::None => return,
        Fault::Overloaded => Err(LlmError::Overloaded),
        Fault::AbortsStream => Err(LlmError::StreamAborted),
        Fault::Malformed => Ok(String::new()),
        Fault::Hangs => return sender.closed().await,
    };
    // Fails only if the stream was dropped.
    let _ = sender.send(last).await;
}

/// Panics if the line is empty: a deliberate bug that [`Fault::Malformed`] triggers.
fn decode(line: &str) -> Chunk {
    match line.split_at(1) {
        ("t", _) => Chunk::Thought,
        (_, word) => Chunk::Token(word.to_owned()),
    }
}
