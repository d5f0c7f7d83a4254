//! [`Cache`]: an LRU cache of content, limited by its size in bytes.

use std::collections::HashMap;

use bytes::Bytes;

use super::metrics::CacheStatistics;

pub struct Cache {
    max_bytes: usize,
    bytes: usize,
    /// Content by id, with the number of the look-up that used it last.
    entries: HashMap<String, (Bytes, u64)>,
    lookups: u64,
    hits: u64,
    /// Evictions since the last `take_statistics`.
    evicted: u64,
}

impl Cache {
    pub fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            bytes: 0,
            entries: HashMap::new(),
            lookups: 0,
            hits: 0,
            evicted: 0,
        }
    }

    pub fn get(&mut self, id: &str) -> Option<Bytes> {
        self.lookups += 1;
        let (content, last_use) = self.entries.get_mut(id)?;
        *last_use = self.lookups;
        self.hits += 1;
        Some(content.clone())
    }

    /// Inserts content, unless it alone exceeds the size limit. Evicts the least recently used
    /// entries to make room.
    pub fn insert(&mut self, id: &str, content: Bytes) {
        if content.len() > self.max_bytes {
            return;
        }
        self.remove(id);
        while self.bytes + content.len() > self.max_bytes {
            let oldest = self
                .entries
                .iter()
                .min_by_key(|(_, (_, last_use))| *last_use);
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

    /// Returns the statistics, with the number of evictions since the last call.
    pub fn take_statistics(&mut self) -> CacheStatistics {
        CacheStatistics {
            entries: self.entries.len(),
            bytes: self.bytes,
            hit_ratio: self.hits as f64 / self.lookups.max(1) as f64,
            evicted: std::mem::take(&mut self.evicted),
        }
    }
}
