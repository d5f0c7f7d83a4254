//! [`Database`]: the packages, in Redis.

use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{AsyncCommands, Client, RedisResult};

/// Timeout of a command.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The packages of the index. Clones share one connection.
#[derive(Clone)]
pub struct Database(ConnectionManager);

/// The numbers of the whole index.
pub struct Counts {
    pub packages: u64,
    pub versions: u64,
    pub queued_builds: u64,
}

impl Database {
    /// Connects on first use, so that the service starts and serves its metrics without Redis.
    pub fn open(url: &str) -> RedisResult<Self> {
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_response_timeout(Some(TIMEOUT));
        let connection = Client::open(url)?.get_connection_manager_lazy(config)?;
        Ok(Self(connection))
    }

    /// Stores a version and queues the build of its documentation. Returns `false` if the version exists.
    pub async fn publish(&self, name: &str, version: &str, archive: &[u8]) -> RedisResult<bool> {
        let mut redis = self.0.clone();
        let is_new = redis.hset_nx(key(name), version, archive).await?;
        if is_new {
            redis::pipe()
                .atomic()
                .sadd("packages", name)
                .incr("versions", 1)
                .rpush("builds", format!("{name} {version}"))
                .exec_async(&mut redis)
                .await?;
        }
        Ok(is_new)
    }

    /// Returns the versions of a package; none if the package does not exist.
    pub async fn versions(&self, name: &str) -> RedisResult<Vec<String>> {
        self.0.clone().hkeys(key(name)).await
    }

    /// Returns the archive of a version, or `None` if the version does not exist.
    pub async fn archive(&self, name: &str, version: &str) -> RedisResult<Option<Vec<u8>>> {
        self.0.clone().hget(key(name), version).await
    }

    pub async fn counts(&self) -> RedisResult<Counts> {
        let (packages, versions, queued_builds): (_, Option<u64>, _) = redis::pipe()
            .scard("packages")
            .get("versions")
            .llen("builds")
            .query_async(&mut self.0.clone())
            .await?;
        Ok(Counts {
            packages,
            versions: versions.unwrap_or(0),
            queued_builds,
        })
    }
}

/// The hash that has the archives of a package by version.
fn key(name: &str) -> String {
    format!("package:{name}")
}
