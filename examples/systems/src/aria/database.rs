//! [`Database`]: what was said, in a table that can only be reached through a pool of connections.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::metrics::{Aria, DbOperation, ErrorType};

const CONNECTIONS: usize = 4;
/// How long a query waits for a connection.
const PATIENCE: Duration = Duration::from_millis(300);
const ROUND_TRIP: Duration = Duration::from_millis(2);

/// No connection was free in time.
#[derive(Debug)]
pub struct PoolTimeout;

impl ErrorType for PoolTimeout {
    fn error_type(&self) -> &'static str {
        "PoolTimeout"
    }
}

impl fmt::Display for PoolTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no connection to the database was free in time")
    }
}

type Messages = BTreeMap<u64, Vec<String>>;

#[derive(Debug)]
pub struct Database {
    /// Of each session.
    messages: Mutex<Messages>,
    pool: Semaphore,
    aria: Aria,
}

impl Database {
    pub fn new(aria: Aria) -> Self {
        Self {
            messages: Mutex::default(),
            pool: Semaphore::new(CONNECTIONS),
            aria,
        }
    }

    pub async fn insert(&self, session: u64, message: String) -> Result<(), PoolTimeout> {
        let insert = |all: &mut Messages| all.entry(session).or_default().push(message);
        self.query(DbOperation::Insert, ROUND_TRIP, insert).await
    }

    /// How many messages there are.
    pub async fn count(&self) -> Result<usize, PoolTimeout> {
        self.scan(ROUND_TRIP).await
    }

    /// As [`count`](Self::count), without an index: that takes so long.
    pub async fn scan(&self, takes: Duration) -> Result<usize, PoolTimeout> {
        let count = |all: &mut Messages| all.values().map(Vec::len).sum();
        self.query(DbOperation::Select, takes, count).await
    }

    pub async fn delete(&self, session: u64) -> Result<(), PoolTimeout> {
        let delete = |all: &mut Messages| {
            all.remove(&session);
        };
        self.query(DbOperation::Delete, ROUND_TRIP, delete).await
    }

    async fn query<T>(
        &self,
        operation: DbOperation,
        takes: Duration,
        work: impl FnOnce(&mut Messages) -> T,
    ) -> Result<T, PoolTimeout> {
        let query = async {
            let connection = timeout(PATIENCE, self.pool.acquire()).await;
            let Ok(Ok(_connection)) = connection else {
                return Err(PoolTimeout);
            };
            sleep(takes).await;
            let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(work(&mut messages))
        };
        self.aria.query(operation, query).await
    }

    pub fn pool_size(&self) -> usize {
        CONNECTIONS
    }

    pub fn pool_available(&self) -> usize {
        self.pool.available_permits()
    }
}
