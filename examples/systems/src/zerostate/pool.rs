//! [`Pool`]: a pool of reusable connections to the origin.

use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tower_prometheus::custom::InProgressGuard;

use super::metrics::ZeroState;
use super::origin::NOT_FOUND;

pub struct Pool {
    metrics: ZeroState,
    origin: SocketAddr,
    permits: Semaphore,
    idle: Mutex<Vec<Connection>>,
}

/// A connection. It counts in `connection_pool_size` until it is dropped.
struct Connection {
    stream: BufStream<TcpStream>,
    _open: InProgressGuard,
}

impl Pool {
    pub fn new(metrics: ZeroState, origin: SocketAddr, max: usize) -> Self {
        Self {
            metrics,
            origin,
            permits: Semaphore::new(max),
            idle: Mutex::default(),
        }
    }

    /// Fetches content; `None` if the origin does not have it. Waits while all connections are in use.
    pub async fn fetch(&self, content_id: &str) -> io::Result<Option<Bytes>> {
        let _permit = self.permits.acquire().await.map_err(io::Error::other)?;
        let idle = self.idle().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        // If the fetch fails or is cancelled, the connection is dropped and not reused.
        let content = connection.fetch(content_id).await?;
        self.idle().push(connection);
        Ok(content)
    }

    async fn connect(&self) -> io::Result<Connection> {
        let stream = TcpStream::connect(self.origin).await?;
        Ok(Connection {
            stream: BufStream::new(stream),
            _open: self.metrics.connection_pool_size.start(),
        })
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    async fn fetch(&mut self, content_id: &str) -> io::Result<Option<Bytes>> {
        let Self { stream, _open } = self;
        stream.write_all(content_id.as_bytes()).await?;
        stream.write_all(b"\n").await?;
        stream.flush().await?;
        let length = stream.read_u32().await?;
        if length == NOT_FOUND {
            return Ok(None);
        }
        let mut content = vec![0; length as usize];
        stream.read_exact(&mut content).await?;
        Ok(Some(content.into()))
    }
}
