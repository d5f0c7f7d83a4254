//! [`ContentStore`]: content by checksum, from the cache or the origin. Content from the origin is verified.

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
        if let Some(content) = self.with_cache(|cache| cache.get(content_id)) {
            return Ok(content);
        }
        let unavailable = |error: io::Error| {
            Status::unavailable(format!("cannot fetch content from the origin: {error}"))
        };
        let content = self.pool.fetch(content_id).await.map_err(unavailable)?;
        let content = content.ok_or_else(|| Status::not_found("unknown content id"))?;
        self.verify(content_id, &content)?;
        self.with_cache(|cache| cache.insert(content_id, content.clone()));
        Ok(content)
    }

    fn verify(&self, content_id: &str, content: &Bytes) -> Result<(), Status> {
        let start = Instant::now();
        let is_valid = checksum(content) == content_id;
        self.metrics.content_verified(start.elapsed());
        match is_valid {
            true => Ok(()),
            false => Err(Status::data_loss(
                "the checksum of the content does not equal its id",
            )),
        }
    }

    /// Accesses the cache, and updates its metrics.
    fn with_cache<T>(&self, access: impl FnOnce(&mut Cache) -> T) -> T {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let result = access(&mut cache);
        self.metrics.cache_updated(&cache.take_statistics());
        result
    }
}

/// Returns the id of content. A real system would use a cryptographic hash.
pub fn checksum(content: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(content);
    format!("{:016x}", hasher.finish())
}
