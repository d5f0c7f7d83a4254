//! [`Broker`]: the event queues and task states in Redis. The duration of every command is recorded.

use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection};
use redis::{
    AsyncCommands, AsyncConnectionConfig, Client, Direction, Pipeline, RedisError, RedisResult,
};

use super::event::Event;
use super::metrics::{Asdlc, RedisOperation};

/// Queue of the events for the workers.
pub const EVENTS: &str = "asdlc:events";
/// Queue of the results for the orchestrator.
pub const RESULTS: &str = "asdlc:results";

/// Timeout of connection attempts and commands.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Timeout of a blocking pop (`BLMOVE`), after which the worker repeats it.
const POP_TIMEOUT: Duration = Duration::from_millis(200);
/// Time to live of a task state, in seconds.
const STATE_TTL: u64 = 3600;

/// A Redis connection that reconnects automatically and can be shared between tasks.
#[derive(Clone)]
pub struct Broker {
    client: Client,
    connection: ConnectionManager,
    metrics: Asdlc,
}

impl Broker {
    /// Connects on first use, so that a service starts and serves its metrics without Redis.
    pub fn open(url: &str, metrics: Asdlc) -> RedisResult<Self> {
        let client = Client::open(url)?;
        // One attempt per command: the caller decides whether to retry.
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(TIMEOUT))
            .set_response_timeout(Some(TIMEOUT));
        let connection = client.get_connection_manager_lazy(config)?;
        Ok(Self {
            client,
            connection,
            metrics,
        })
    }

    /// Sends a PING. If the connection is broken, reconnects and tries once more.
    pub async fn ping(&self) -> RedisResult<()> {
        match self.ping_once().await {
            // The old connection is broken, but Redis may be up again: the next command reconnects.
            Err(error) if error.is_unrecoverable_error() => self.ping_once().await,
            result => result,
        }
    }

    async fn ping_once(&self) -> RedisResult<()> {
        let mut connection = self.connection.clone();
        let ping = connection.ping::<()>();
        self.metrics.redis(RedisOperation::Ping, ping).await
    }

    /// Queues an event for the workers, and returns the number of its task.
    pub async fn submit(&self, event_type: String, payload: String) -> RedisResult<u64> {
        let mut connection = self.connection.clone();
        let next = connection.incr("asdlc:tasks", 1);
        let task = self.metrics.redis(RedisOperation::Incr, next).await?;
        let event = Event {
            task,
            event_type,
            payload,
        };
        let mut transaction = redis::pipe();
        transaction.atomic().lpush(EVENTS, event.to_json()).ignore();
        set_state(&mut transaction, task, "queued");
        let exec = transaction.exec_async(&mut connection);
        self.metrics.redis(RedisOperation::Exec, exec).await?;
        Ok(task)
    }

    /// Returns the state of a task: `queued`, `success` or `failed`. `None` if the task does not exist.
    pub async fn state(&self, task: u64) -> RedisResult<Option<String>> {
        let mut connection = self.connection.clone();
        let state = connection.get(state_key(task));
        self.metrics.redis(RedisOperation::Get, state).await
    }

    /// Returns the number of events in a queue.
    pub async fn length(&self, queue: &str) -> RedisResult<usize> {
        let mut connection = self.connection.clone();
        let length = connection.llen(queue);
        self.metrics.redis(RedisOperation::Llen, length).await
    }

    /// Returns a consumer with a separate connection, because a blocking pop blocks the connection.
    /// Events that an earlier consumer of the same name took and did not finish are first put back
    /// into the queue.
    pub async fn consumer(&self, queue: &'static str, name: &str) -> RedisResult<Consumer> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(TIMEOUT))
            .set_response_timeout(Some(TIMEOUT + POP_TIMEOUT));
        let connect = self
            .client
            .get_multiplexed_async_connection_with_config(&config);
        let mut consumer = Consumer {
            connection: connect.await?,
            metrics: self.metrics,
            queue,
            taken: format!("{queue}:{name}"),
        };
        consumer.put_back().await?;
        Ok(consumer)
    }
}

/// Takes events from a queue, one at a time. Until an event is finished, it is in a list of its
/// consumer, so that it survives a lost connection or a killed process (the reliable queue pattern
/// of Redis).
pub struct Consumer {
    connection: MultiplexedConnection,
    metrics: Asdlc,
    queue: &'static str,
    /// Key of the list of events that are taken and not finished.
    taken: String,
}

impl Consumer {
    async fn put_back(&mut self) -> RedisResult<()> {
        loop {
            let (from, to) = (Direction::Left, Direction::Right);
            let moved = self.connection.lmove(&self.taken, self.queue, from, to);
            let moved: Option<String> = self.metrics.redis(RedisOperation::Lmove, moved).await?;
            if moved.is_none() {
                return Ok(());
            }
        }
    }

    /// Takes the next event as JSON; `None` if no event arrives within [`POP_TIMEOUT`].
    pub async fn take(&mut self) -> RedisResult<Option<String>> {
        let (from, to) = (Direction::Right, Direction::Left);
        let timeout = POP_TIMEOUT.as_secs_f64();
        let event = self
            .connection
            .blmove(self.queue, &self.taken, from, to, timeout);
        self.metrics.redis(RedisOperation::Blmove, event).await
    }

    /// Removes a finished event, in one transaction with `commands`.
    pub async fn finish(&mut self, event: &str, mut commands: Pipeline) -> RedisResult<()> {
        commands.atomic().lrem(&self.taken, 1, event).ignore();
        let exec = commands.exec_async(&mut self.connection);
        self.metrics.redis(RedisOperation::Exec, exec).await
    }
}

/// Adds a command that sets the state of a task.
pub fn set_state(transaction: &mut Pipeline, task: u64, state: &str) {
    transaction
        .set_ex(state_key(task), state, STATE_TTL)
        .ignore();
}

fn state_key(task: u64) -> String {
    format!("asdlc:task:{task}")
}

/// Returns the error message for logs and responses.
pub fn reason(error: &RedisError) -> String {
    format!("Redis: {error}")
}
