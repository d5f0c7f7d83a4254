//! Uploads that are not completed: each counts as one aborted request body, whatever the handler responds.

use std::future::pending;
use std::net::Shutdown;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::routing::post;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use http_body_util::channel::{Channel, Sender};
use hyper::body::Incoming;
use hyper::client::conn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tower::{BoxError, ServiceBuilder};
use tower_prometheus::http::RequestBody;
use tower_prometheus::{HttpMetrics, Registry};

use test_support::server::{BOTH_PROTOCOLS, Protocol, Server};
use test_support::{requests_with_status, wait_for_requests_to_end, wait_until};

/// How a client gives up an upload.
#[derive(Clone, Copy, Debug)]
pub(crate) enum GivesUp {
    ClosesConnection,
    /// The source of its body fails: the client closes the connection, or resets the stream.
    FailsToRead,
}

/// Handlers, and signals between them and the test.
#[derive(Clone, Default)]
struct Handlers {
    /// `/reads-slowly` has read a part of the body.
    has_read: Arc<Notify>,
    /// An outer layer cancels the request, as a timeout does.
    cancel: Arc<Notify>,
}

impl Handlers {
    async fn serve(&self, registry: &Registry) -> Server {
        let layer = HttpMetrics::server()
            .with_request_body()
            .build(registry)
            .unwrap();
        let has_read = Arc::clone(&self.has_read);
        let reads_slowly = async move |body: Body| {
            let mut body = body;
            body.frame().await.unwrap().unwrap();
            has_read.notify_one();
            pending::<()>().await;
        };
        let router = Router::new()
            .route("/extracts", post(async |body: Bytes| body))
            .route("/reads-slowly", post(reads_slowly))
            .route("/ignores", post(async || ()))
            .layer(DefaultBodyLimit::max(LENGTH));
        let cancel = Arc::clone(&self.cancel);
        let service = ServiceBuilder::new()
            .map_future(move |answer| {
                let cancel = Arc::clone(&cancel);
                async move {
                    tokio::select! {
                        answer = answer => Ok(answer?),
                        () = cancel.notified() => Err(BoxError::from("timed out")),
                    }
                }
            })
            .layer(layer)
            .map_request(|request: Request<RequestBody<Incoming>>| request.map(Body::new))
            .service(router);
        Server::start(service).await
    }
}

/// The length of the body that the client announces. It sends less.
const LENGTH: usize = 10;

/// A client that has sent a part of a body.
pub(crate) struct Upload {
    body: Sender<Bytes, BoxError>,
    response: JoinHandle<hyper::Result<Response<Incoming>>>,
    connection: std::net::TcpStream,
}

impl Upload {
    pub(crate) async fn start(server: &Server, protocol: Protocol, path: &str) -> Self {
        let stream = TcpStream::connect(server.address).await.unwrap();
        let stream = stream.into_std().unwrap();
        let connection = stream.try_clone().unwrap();
        let io = TokioIo::new(TcpStream::from_std(stream).unwrap());
        let (mut body, channel) = Channel::<Bytes, BoxError>::new(1);
        let request = Request::post(server.url(path))
            .header("host", "localhost")
            .header("content-length", LENGTH);
        let request = request.body(channel).unwrap();
        let response = match protocol {
            Protocol::Http1 => {
                let (mut sender, connection) = conn::http1::handshake(io).await.unwrap();
                tokio::spawn(connection);
                tokio::spawn(async move { sender.send_request(request).await })
            }
            Protocol::Http2 => {
                let executor = TokioExecutor::new();
                let (mut sender, connection) = conn::http2::handshake(executor, io).await.unwrap();
                tokio::spawn(connection);
                tokio::spawn(async move { sender.send_request(request).await })
            }
        };
        body.send_data(Bytes::from_static(b"01234")).await.unwrap();
        Self {
            body,
            response,
            connection,
        }
    }

    /// Waits for the response head.
    pub(crate) async fn head(&mut self) -> Response<Incoming> {
        (&mut self.response).await.unwrap().unwrap()
    }

    /// Sends the rest of the body. Returns the response, unless it has been [waited for](Self::head).
    pub(crate) async fn finish(mut self) -> JoinHandle<hyper::Result<Response<Incoming>>> {
        let rest = Bytes::from_static(b"56789");
        self.body.send_data(rest).await.unwrap();
        self.response
    }

    pub(crate) fn give_up(self, how: GivesUp) {
        match how {
            GivesUp::ClosesConnection => self.connection.shutdown(Shutdown::Both).unwrap(),
            GivesUp::FailsToRead => self.body.abort("the file cannot be read".into()),
        }
    }
}

fn aborted(registry: &Registry, labels: &[(&str, &str)]) -> Option<f64> {
    registry.sum("http_request_bodies_aborted_total", labels)
}

#[track_caller]
fn assert_one_aborted(registry: &Registry, reason: &str) {
    assert_eq!(aborted(registry, &[]), Some(1.0), "{}", registry.render());
    assert_eq!(aborted(registry, &[("reason", reason)]), Some(1.0));
}

#[tokio::test]
async fn upload_that_the_client_gives_up_while_axum_extracts_it_is_aborted_with_reason_error() {
    for protocol in BOTH_PROTOCOLS {
        for how in [GivesUp::ClosesConnection, GivesUp::FailsToRead] {
            let registry = Registry::new();
            let server = Handlers::default().serve(&registry).await;
            let upload = Upload::start(&server, protocol, "/extracts").await;
            wait_until("the request is in progress", || {
                registry.sum("http_requests_in_progress", &[]) == Some(1.0)
            })
            .await;
            upload.give_up(how);
            wait_for_requests_to_end(&registry, 1).await;
            // The extractor rejects the request.
            let rejected = requests_with_status(&registry, "400");
            assert_eq!(rejected, 1.0, "{protocol:?} {how:?}");
            assert_one_aborted(&registry, "error");
        }
    }
}

/// Over HTTP/2 only: over HTTP/1, hyper reads the connection only as far as the handler reads the body.
#[tokio::test]
async fn upload_that_the_client_gives_up_while_the_handler_is_busy_is_aborted_with_reason_dropped()
{
    for how in [GivesUp::ClosesConnection, GivesUp::FailsToRead] {
        let (registry, handlers) = (Registry::new(), Handlers::default());
        let server = handlers.serve(&registry).await;
        let upload = Upload::start(&server, Protocol::Http2, "/reads-slowly").await;
        handlers.has_read.notified().await;
        upload.give_up(how);
        wait_for_requests_to_end(&registry, 1).await;
        assert_eq!(requests_with_status(&registry, "cancelled"), 1.0, "{how:?}");
        assert_one_aborted(&registry, "dropped");
    }
}

#[tokio::test]
async fn upload_that_is_cancelled_while_it_is_read_is_aborted_with_reason_dropped() {
    for protocol in BOTH_PROTOCOLS {
        let (registry, handlers) = (Registry::new(), Handlers::default());
        let server = handlers.serve(&registry).await;
        let _upload = Upload::start(&server, protocol, "/reads-slowly").await;
        handlers.has_read.notified().await;
        handlers.cancel.notify_one();
        wait_for_requests_to_end(&registry, 1).await;
        let cancelled = requests_with_status(&registry, "cancelled");
        assert_eq!(cancelled, 1.0, "{protocol:?}");
        assert_one_aborted(&registry, "dropped");
    }
}

#[tokio::test]
async fn upload_that_is_complete_or_that_the_handler_does_not_read_is_not_aborted() {
    for protocol in BOTH_PROTOCOLS {
        let registry = Registry::new();
        let server = Handlers::default().serve(&registry).await;
        let complete = Upload::start(&server, protocol, "/extracts").await;
        let response = complete.finish().await.await.unwrap().unwrap();
        let echo = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(echo, "0123456789");
        let ignored = Upload::start(&server, protocol, "/ignores").await;
        wait_for_requests_to_end(&registry, 2).await;
        ignored.give_up(GivesUp::ClosesConnection);
        assert_eq!(requests_with_status(&registry, "200"), 2.0);
        assert_eq!(aborted(&registry, &[]), None, "{protocol:?}");
    }
}
