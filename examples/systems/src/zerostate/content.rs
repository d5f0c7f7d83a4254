//! [`ContentStore`]: contents by their checksum, from the cache or over the pool from their origin, and verified.

use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use tonic::Status;

use super::cache::Cache;
use super::metrics::ZeroState;
use super::pool::Pool;

pub struct ContentStore {
    metrics: ZeroState,
    cache: Mutex<Cache>,
    pool: Pool,
}

impl ContentStore {
    pub fn new(metrics: ZeroState, pool: Pool, cache_bytes: usize) -> Self {
        Self {
            metrics,
            cache: Mutex::new(Cache::new(cache_bytes)),
            pool,
        }
    }

    pub async fn fetch(&self, content_id: &str) -> Result<Bytes, Status> {
        if let Some(content) = self.cached(|cache| cache.get(content_id)) {
            return Ok(content);
        }
        let lost = |error: io::Error| Status::unavailable(format!("the origin: {error}"));
        let content = self.pool.fetch(content_id).await.map_err(lost)?;
        let content = content.ok_or_else(|| Status::not_found("there is no such content"))?;
        self.verify(content_id, &content)?;
        self.cached(|cache| cache.insert(content_id, content.clone()));
        Ok(content)
    }

    fn verify(&self, content_id: &str, content: &Bytes) -> Result<(), Status> {
        let started = Instant::now();
        let is_right = checksum(content) == content_id;
        self.metrics.content_verified(started.elapsed());
        match is_right {
            true => Ok(()),
            false => Err(Status::data_loss("the content is not what its name says")),
        }
    }

    fn cached<T>(&self, access: impl FnOnce(&mut Cache) -> T) -> T {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let found = access(&mut cache);
        self.metrics.cache_used(&cache.take_use());
        found
    }
}

/// The name of a content. Another system would take a cryptographic hash.
pub fn checksum(content: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(content);
    format!("{:016x}", hasher.finish())
}
