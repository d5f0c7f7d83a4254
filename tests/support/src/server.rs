//! A server in the test's process, and clients of HTTP/1 and HTTP/2.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tower::Service;

/// The protocol of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    Http2,
}

pub const BOTH_PROTOCOLS: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

/// A server on a free port of loopback. Dropping it stops it and closes its connections.
pub struct Server {
    pub address: SocketAddr,
    task: AbortHandle,
}

impl Server {
    /// Serves HTTP/1 and HTTP/2, with upgrades and extended CONNECT (WebSockets over HTTP/2).
    pub async fn start<S, B>(service: S) -> Self
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::start_on(listener, service)
    }

    /// Serves like [`start`](Self::start), on the address of a listener.
    pub fn start_on<S, B>(listener: TcpListener, service: S) -> Self
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    {
        let address = listener.local_addr().unwrap();
        let accept = async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let service = TowerToHyperService::new(service.clone());
                connections.spawn(async move {
                    let mut server = auto::Builder::new(TokioExecutor::new());
                    server.http2().enable_connect_protocol();
                    let io = TokioIo::new(stream);
                    // Clients of these tests close connections at any time, which is an error here.
                    let _ = server.serve_connection_with_upgrades(io, service).await;
                });
            }
        };
        let task = tokio::spawn(accept).abort_handle();
        Self { address, task }
    }

    /// A server that the test has started by other means. Dropping this does not stop it.
    pub fn at(address: SocketAddr) -> Self {
        let task = tokio::spawn(async {}).abort_handle();
        Self { address, task }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub async fn connect(&self, protocol: Protocol) -> Client {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let io = TokioIo::new(stream);
        let (sender, connection) = match protocol {
            Protocol::Http1 => {
                let (sender, connection) = conn::http1::handshake(io).await.unwrap();
                let connection = tokio::spawn(async move {
                    let _ = connection.with_upgrades().await;
                });
                (Sender::Http1(sender), connection)
            }
            Protocol::Http2 => {
                let executor = TokioExecutor::new();
                let (sender, connection) = conn::http2::handshake(executor, io).await.unwrap();
                let connection = tokio::spawn(async move {
                    let _ = connection.await;
                });
                (Sender::Http2(sender), connection)
            }
        };
        let connection = connection.abort_handle();
        Client {
            address: self.address,
            sender,
            connection,
        }
    }

    /// Sends one GET request on a new connection and reads the response to its end.
    pub async fn get(&self, path: &str) -> (u16, String) {
        let mut client = self.connect(Protocol::Http1).await;
        let response = client.send("GET", path).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One connection. Dropping it closes it, also while a request is in progress.
pub struct Client {
    address: SocketAddr,
    sender: Sender,
    connection: AbortHandle,
}

enum Sender {
    Http1(conn::http1::SendRequest<Empty<Bytes>>),
    Http2(conn::http2::SendRequest<Empty<Bytes>>),
}

impl Client {
    pub async fn send(&mut self, method: &str, path: &str) -> hyper::Result<Response<Incoming>> {
        let request = Request::builder().method(method);
        let request = match &self.sender {
            Sender::Http1(_) => request.uri(path).header("host", self.address.to_string()),
            Sender::Http2(_) => request.uri(format!("http://{}{path}", self.address)),
        };
        self.send_request(request.body(Empty::new()).unwrap()).await
    }

    pub async fn send_request(
        &mut self,
        request: Request<Empty<Bytes>>,
    ) -> hyper::Result<Response<Incoming>> {
        match &mut self.sender {
            Sender::Http1(sender) => sender.send_request(request).await,
            Sender::Http2(sender) => sender.send_request(request).await,
        }
    }

    /// Sends a request and reads its response to the end.
    pub async fn fetch(&mut self, method: &str, path: &str) -> (u16, Bytes) {
        let response = self.send(method, path).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap();
        (status, body.to_bytes())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.connection.abort();
    }
}
