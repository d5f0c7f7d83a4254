//! [`Cache`]: an LRU cache of answers. Entries expire after a fixed time to live, and beyond
//! `capacity` entries the least recently used one is evicted.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::metrics::{AgentOperation, AgentOs, CacheResult};

/// The key of a cached answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    pub agent: String,
    pub operation: AgentOperation,
    pub text: String,
}

pub struct Cache {
    entries: Mutex<Entries>,
    capacity: usize,
    ttl: Duration,
    metrics: AgentOs,
}

impl Cache {
    pub fn new(capacity: usize, ttl: Duration, metrics: AgentOs) -> Self {
        Self {
            entries: Mutex::default(),
            capacity,
            ttl,
            metrics,
        }
    }

    pub fn get(&self, question: &Question) -> Option<Arc<str>> {
        let start = std::time::Instant::now();
        let answer = self.entries().get(question);
        let result = match answer {
            Some(_) => CacheResult::Hit,
            None => CacheResult::Miss,
        };
        self.metrics.record_lookup(result, start.elapsed());
        answer
    }

    pub fn set(&self, question: Question, answer: Arc<str>) {
        let start = std::time::Instant::now();
        let mut entries = self.entries();
        entries.insert(question, answer, Instant::now() + self.ttl);
        entries.evict_to(self.capacity);
        drop(entries);
        self.metrics.record_insert(start.elapsed());
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Entry {
    answer: Arc<str>,
    expires: Instant,
    /// Key in `by_use`: the value of `uses` at the last use.
    last_use: u64,
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
        if let Some(question) = self.by_use.remove(&entry.last_use) {
            self.by_use.insert(self.uses, question);
        }
        entry.last_use = self.uses;
        Some(Arc::clone(&entry.answer))
    }

    fn insert(&mut self, question: Question, answer: Arc<str>, expires: Instant) {
        self.remove(&question);
        self.uses += 1;
        let last_use = self.uses;
        self.by_use.insert(last_use, question.clone());
        let entry = Entry {
            answer,
            expires,
            last_use,
        };
        self.by_question.insert(question, entry);
    }

    fn remove(&mut self, question: &Question) {
        if let Some(entry) = self.by_question.remove(question) {
            self.by_use.remove(&entry.last_use);
        }
    }

    fn evict_to(&mut self, capacity: usize) {
        while self.by_question.len() > capacity
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.by_question.remove(&oldest);
        }
    }
}
