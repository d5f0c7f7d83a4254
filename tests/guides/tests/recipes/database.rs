//! A database that tests stop, and its client with managers for deadpool and bb8.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use deadpool::managed::{self, Metrics, RecycleResult};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A server that answers every byte.
pub struct Database {
    pub address: SocketAddr,
    tasks: JoinSet<()>,
}

impl Database {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((connection, _)) = listener.accept().await {
                connections.spawn(answer(connection));
            }
        });
        Self { address, tasks }
    }

    /// Closes all connections and refuses new ones.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }

    pub fn client(&self) -> Client {
        Client(self.address)
    }
}

async fn answer(mut connection: TcpStream) {
    let mut byte = [0];
    while connection.read_exact(&mut byte).await.is_ok() {
        if connection.write_all(&byte).await.is_err() {
            return;
        }
    }
}

/// A listener whose connections are never accepted: the kernel completes them, and no byte is answered.
pub fn hanging() -> (std::net::TcpListener, Client) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Client(listener.local_addr().unwrap());
    (listener, client)
}

/// Opens connections to a database.
#[derive(Clone, Copy, Debug)]
pub struct Client(SocketAddr);

impl Client {
    async fn open(self) -> io::Result<TcpStream> {
        let mut connection = TcpStream::connect(self.0).await?;
        ping(&mut connection).await?;
        Ok(connection)
    }

    pub fn deadpool(self, max: usize, timeout: Duration) -> managed::Pool<Self> {
        let builder = managed::Pool::builder(self).max_size(max);
        let builder = builder.runtime(deadpool::Runtime::Tokio1);
        builder.wait_timeout(Some(timeout)).build().unwrap()
    }

    pub fn bb8(self, max: u32, timeout: Duration) -> bb8::Pool<Self> {
        let builder = bb8::Pool::builder().max_size(max);
        builder.connection_timeout(timeout).build_unchecked(self)
    }
}

async fn ping(connection: &mut TcpStream) -> io::Result<()> {
    connection.write_all(b"p").await?;
    connection.read_exact(&mut [0]).await.map(drop)
}

impl managed::Manager for Client {
    type Type = TcpStream;
    type Error = io::Error;

    async fn create(&self) -> io::Result<TcpStream> {
        self.open().await
    }

    async fn recycle(&self, connection: &mut TcpStream, _: &Metrics) -> RecycleResult<io::Error> {
        Ok(ping(connection).await?)
    }
}

impl bb8::ManageConnection for Client {
    type Connection = TcpStream;
    type Error = io::Error;

    async fn connect(&self) -> io::Result<TcpStream> {
        self.open().await
    }

    async fn is_valid(&self, connection: &mut TcpStream) -> io::Result<()> {
        ping(connection).await
    }

    fn has_broken(&self, _: &mut TcpStream) -> bool {
        false
    }
}
