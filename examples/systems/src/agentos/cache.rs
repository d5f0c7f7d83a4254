//! [`Cache`]: answers that were given before. Each is kept for a while, and only so many: who was not asked for
//! longest goes first.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::metrics::{AgentOperation, AgentOs, Found};

/// What an agent was asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    pub agent: String,
    pub operation: AgentOperation,
    pub text: String,
}

pub struct Cache {
    entries: Mutex<Entries>,
    capacity: usize,
    keeps: Duration,
    metrics: AgentOs,
}

impl Cache {
    pub fn new(capacity: usize, keeps: Duration, metrics: AgentOs) -> Self {
        Self {
            entries: Mutex::default(),
            capacity,
            keeps,
            metrics,
        }
    }

    pub fn get(&self, question: &Question) -> Option<Arc<str>> {
        let began = std::time::Instant::now();
        let answer = self.entries().get(question);
        let result = match answer {
            Some(_) => Found::Hit,
            None => Found::Miss,
        };
        self.metrics.looked_up(result, began.elapsed());
        answer
    }

    pub fn set(&self, question: Question, answer: Arc<str>) {
        let began = std::time::Instant::now();
        let mut entries = self.entries();
        entries.insert(question, answer, Instant::now() + self.keeps);
        entries.shrink_to(self.capacity);
        drop(entries);
        self.metrics.stored(began.elapsed());
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Entry {
    answer: Arc<str>,
    expires: Instant,
    /// Its place in the order of use.
    used: u64,
}

#[derive(Default)]
struct Entries {
    by_question: HashMap<Question, Entry>,
    by_use: BTreeMap<u64, Question>,
    uses: u64,
}

impl Entries {
    fn get(&mut self, question: &Question) -> Option<Arc<str>> {
        if self.by_question.get(question)?.expires <= Instant::now() {
            self.remove(question);
            return None;
        }
        let entry = self.by_question.get_mut(question)?;
        self.uses += 1;
        if let Some(question) = self.by_use.remove(&entry.used) {
            self.by_use.insert(self.uses, question);
        }
        entry.used = self.uses;
        Some(Arc::clone(&entry.answer))
    }

    fn insert(&mut self, question: Question, answer: Arc<str>, expires: Instant) {
        self.remove(&question);
        self.uses += 1;
        let used = self.uses;
        self.by_use.insert(used, question.clone());
        let entry = Entry {
            answer,
            expires,
            used,
        };
        self.by_question.insert(question, entry);
    }

    fn remove(&mut self, question: &Question) {
        if let Some(entry) = self.by_question.remove(question) {
            self.by_use.remove(&entry.used);
        }
    }

    fn shrink_to(&mut self, capacity: usize) {
        while self.by_question.len() > capacity
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.by_question.remove(&oldest);
        }
    }
}
