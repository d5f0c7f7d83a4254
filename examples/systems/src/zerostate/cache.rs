//! [`Cache`]: contents up to so many bytes; who was not asked for longest goes first.

use std::collections::HashMap;

use bytes::Bytes;

use super::metrics::CacheUse;

pub struct Cache {
    most_bytes: usize,
    bytes: usize,
    /// With the number of the look-up that asked for it last.
    entries: HashMap<String, (Bytes, u64)>,
    lookups: u64,
    hits: u64,
    /// Since they were last told.
    evicted: u64,
}

impl Cache {
    pub fn new(most_bytes: usize) -> Self {
        Self {
            most_bytes,
            bytes: 0,
            entries: HashMap::new(),
            lookups: 0,
            hits: 0,
            evicted: 0,
        }
    }

    pub fn get(&mut self, id: &str) -> Option<Bytes> {
        self.lookups += 1;
        let (content, asked) = self.entries.get_mut(id)?;
        *asked = self.lookups;
        self.hits += 1;
        Some(content.clone())
    }

    /// Keeps a content, unless it alone is larger than the cache.
    pub fn insert(&mut self, id: &str, content: Bytes) {
        if content.len() > self.most_bytes {
            return;
        }
        self.remove(id);
        while self.bytes + content.len() > self.most_bytes {
            let oldest = self.entries.iter().min_by_key(|(_, (_, asked))| *asked);
            let Some(oldest) = oldest.map(|(id, _)| id.clone()) else {
                break;
            };
            self.remove(&oldest);
            self.evicted += 1;
        }
        self.bytes += content.len();
        self.entries.insert(id.to_owned(), (content, self.lookups));
    }

    fn remove(&mut self, id: &str) {
        if let Some((content, _)) = self.entries.remove(id) {
            self.bytes -= content.len();
        }
    }

    /// What there is, and what was evicted since this was last asked.
    pub fn take_use(&mut self) -> CacheUse {
        CacheUse {
            entries: self.entries.len(),
            bytes: self.bytes,
            hit_ratio: self.hits as f64 / self.lookups.max(1) as f64,
            evicted: std::mem::take(&mut self.evicted),
        }
    }
}
