//! [`Provider`]: who answers for a language model. It speaks a line at a time, slowly, and has bad days.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::{Stream, stream};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::llm::LlmError;

/// What is wrong with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    #[default]
    None,
    /// It turns calls away.
    Overloaded,
    /// It takes a call and never answers.
    Hangs,
    /// It breaks off after the first word.
    BreaksOff,
    /// It says what the engine's decoder does not expect, and trips over.
    Garbled,
}

/// What it says.
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

    /// The answer, as it comes. Nobody listening ends it.
    pub fn stream(&self, prompt: &str) -> impl Stream<Item = Result<Chunk, LlmError>> + use<> {
        let (sender, mut receiver) = mpsc::channel(4);
        let fault = *self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = self.answer(prompt);
        tokio::spawn(speak(lines, self.per_token, fault, sender));
        stream::poll_fn(move |cx| {
            let line = receiver.poll_recv(cx);
            line.map(|line| line.map(|line| line.map(|line| decode(&line))))
        })
    }

    /// What it would say if all went well: a line is `t` for a thought or `w` for a word, and the text.
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

async fn speak(
    lines: Vec<String>,
    per_token: Duration,
    fault: Fault,
    listener: mpsc::Sender<Result<String, LlmError>>,
) {
    let said = match fault {
        Fault::None => lines.len(),
        Fault::BreaksOff => 1,
        Fault::Overloaded | Fault::Hangs | Fault::Garbled => 0,
    };
    for line in lines.into_iter().take(said) {
        sleep(per_token).await;
        if listener.send(Ok(line)).await.is_err() {
            return;
        }
    }
    let last = match fault {
        Fault::None => return,
        Fault::Overloaded => Err(LlmError::Overloaded),
        Fault::BreaksOff => Err(LlmError::BrokenOff),
        Fault::Garbled => Ok(String::new()),
        Fault::Hangs => return listener.closed().await,
    };
    // Who does not listen any more does not miss it.
    let _ = listener.send(last).await;
}

/// Has the usual kind of bug: it panics where a line is empty.
fn decode(line: &str) -> Chunk {
    match line.split_at(1) {
        ("t", _) => Chunk::Thought,
        (_, word) => Chunk::Token(word.to_owned()),
    }
}
