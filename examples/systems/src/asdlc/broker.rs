//! [`Broker`]: the queues and the tasks' states, in Redis. Every command is timed.

use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection};
use redis::{
    AsyncCommands, AsyncConnectionConfig, Client, Direction, Pipeline, RedisError, RedisResult,
};

use super::event::Event;
use super::metrics::{Asdlc, RedisOperation};

/// Events for the workers.
pub const EVENTS: &str = "asdlc:events";
/// What came of them, for the orchestrator.
pub const RESULTS: &str = "asdlc:results";

/// How long Redis may take before a command has failed.
const RESPONSE: Duration = Duration::from_secs(1);
/// How long a worker waits for an event before it asks again.
const WAIT: Duration = Duration::from_millis(200);
/// How long the state of a task is kept, in seconds.
const KEPT: u64 = 3600;

/// A connection that comes back by itself, and may be used by many at once.
#[derive(Clone)]
pub struct Broker {
    client: Client,
    connection: ConnectionManager,
    metrics: Asdlc,
}

impl Broker {
    /// Nothing is connected yet: a service starts, and tells how it is, without its Redis.
    pub fn open(url: &str, metrics: Asdlc) -> RedisResult<Self> {
        let client = Client::open(url)?;
        // One attempt for each command: who waits decides whether to try again.
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(RESPONSE))
            .set_response_timeout(Some(RESPONSE));
        let connection = client.get_connection_manager_lazy(config)?;
        Ok(Self {
            client,
            connection,
            metrics,
        })
    }

    /// Whether Redis answers.
    pub async fn ping(&self) -> RedisResult<()> {
        match self.ping_once().await {
            // That was the old connection; Redis may be back, and a new one is made for the next command.
            Err(error) if error.is_unrecoverable_error() => self.ping_once().await,
            answer => answer,
        }
    }

    async fn ping_once(&self) -> RedisResult<()> {
        let mut connection = self.connection.clone();
        let ping = connection.ping::<()>();
        self.metrics.redis(RedisOperation::Ping, ping).await
    }

    /// Queues an event for the workers, and gives it the number of its task.
    pub async fn submit(&self, event_type: String, payload: String) -> RedisResult<u64> {
        let mut connection = self.connection.clone();
        let next = connection.incr("asdlc:tasks", 1);
        let task = self.metrics.redis(RedisOperation::Incr, next).await?;
        let event = Event {
            task,
            event_type,
            payload,
        };
        let mut both = redis::pipe();
        both.atomic().lpush(EVENTS, event.to_json()).ignore();
        set_state(&mut both, task, "queued");
        let both = both.exec_async(&mut connection);
        self.metrics.redis(RedisOperation::Exec, both).await?;
        Ok(task)
    }

    /// `queued`, `success` or `failed`; nothing if there is no such task.
    pub async fn state(&self, task: u64) -> RedisResult<Option<String>> {
        let mut connection = self.connection.clone();
        let state = connection.get(state_key(task));
        self.metrics.redis(RedisOperation::Get, state).await
    }

    /// How many events wait in a queue.
    pub async fn length(&self, queue: &str) -> RedisResult<usize> {
        let mut connection = self.connection.clone();
        let length = connection.llen(queue);
        self.metrics.redis(RedisOperation::Llen, length).await
    }

    /// A consumer with a connection of its own, because it blocks it. What it took before, under that name,
    /// and did not finish goes back into the queue first.
    pub async fn consumer(&self, queue: &'static str, name: &str) -> RedisResult<Consumer> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(RESPONSE))
            .set_response_timeout(Some(RESPONSE + WAIT));
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

/// Takes events from a queue, one at a time. An event is in a list of its consumer's until it is finished, so
/// that it is not lost with the connection or the process.
pub struct Consumer {
    connection: MultiplexedConnection,
    metrics: Asdlc,
    queue: &'static str,
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

    /// The next event as it is in the queue, or nothing if none came for a while.
    pub async fn take(&mut self) -> RedisResult<Option<String>> {
        let (from, to) = (Direction::Right, Direction::Left);
        let wait = WAIT.as_secs_f64();
        let taken = self
            .connection
            .blmove(self.queue, &self.taken, from, to, wait);
        self.metrics.redis(RedisOperation::Blmove, taken).await
    }

    /// Ends an event, together with what is to happen then.
    pub async fn finish(&mut self, event: &str, mut then: Pipeline) -> RedisResult<()> {
        then.atomic().lrem(&self.taken, 1, event).ignore();
        let all = then.exec_async(&mut self.connection);
        self.metrics.redis(RedisOperation::Exec, all).await
    }
}

/// Adds to a transaction what becomes of a task.
pub fn set_state(transaction: &mut Pipeline, task: u64, state: &str) {
    transaction.set_ex(state_key(task), state, KEPT).ignore();
}

fn state_key(task: u64) -> String {
    format!("asdlc:task:{task}")
}

/// What went wrong, for people.
pub fn reason(error: &RedisError) -> String {
    format!("Redis: {error}")
}
