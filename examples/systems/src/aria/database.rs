//! [`Database`]: a simulated table of messages behind a connection pool.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::metrics::{Aria, DbOperation, ErrorType};

const CONNECTIONS: usize = 4;
/// How long a query waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(300);
const ROUND_TRIP: Duration = Duration::from_millis(2);

/// No connection was available within [`ACQUIRE_TIMEOUT`].
#[derive(Debug)]
pub struct PoolTimeout;

impl ErrorType for PoolTimeout {
    fn error_type(&self) -> &'static str {
        "PoolTimeout"
    }
}

impl fmt::Display for PoolTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no database connection was available within {ACQUIRE_TIMEOUT:?}"
        )
    }
}

type Messages = BTreeMap<u64, Vec<String>>;

#[derive(Debug)]
pub struct Database {
    /// Messages by session.
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

    /// Returns the number of messages.
    pub async fn count(&self) -> Result<usize, PoolTimeout> {
        self.scan(ROUND_TRIP).await
    }

    /// Returns the number of messages like [`count`](Self::count), but holds a connection for `duration`.
    pub async fn scan(&self, duration: Duration) -> Result<usize, PoolTimeout> {
        let count = |all: &mut Messages| all.values().map(Vec::len).sum();
        self.query(DbOperation::Select, duration, count).await
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
        duration: Duration,
        work: impl FnOnce(&mut Messages) -> T,
    ) -> Result<T, PoolTimeout> {
        let query = async {
            let connection = timeout(ACQUIRE_TIMEOUT, self.pool.acquire()).await;
            let Ok(Ok(_connection)) = connection else {
                return Err(PoolTimeout);
            };
            sleep(duration).await;
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
