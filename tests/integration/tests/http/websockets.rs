//! WebSockets of axum over HTTP/1 and over HTTP/2 (extended CONNECT), with and without a guard.

use axum::Router;
use axum::extract::WebSocketUpgrade;
use axum::extract::ws::WebSocket;
use axum::response::{Extension, IntoResponse};
use axum::routing::any;
use futures_util::{SinkExt, StreamExt};
use http::{Request, StatusCode};
use http_body_util::Empty;
use hyper::ext::Protocol as ExtendedConnect;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use tower_prometheus::Registry;
use tower_prometheus::http::LongLived;

use test_support::server::{BOTH_PROTOCOLS, Client, Protocol, Server};
use test_support::{requests_with_status, wait_for_requests_to_end, wait_until};

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if socket.send(message).await.is_err() {
            return;
        }
    }
}

pub(crate) async fn unguarded(upgrade: WebSocketUpgrade) -> impl IntoResponse {
    upgrade.on_upgrade(echo)
}

pub(crate) async fn guarded(upgrade: WebSocketUpgrade) -> impl IntoResponse {
    let (mark, guard) = LongLived::guarded("websocket");
    let session = upgrade.on_upgrade(async move |socket| {
        let _open = guard;
        echo(socket).await;
    });
    (Extension(mark), session)
}

async fn serve(registry: &Registry) -> Server {
    let app = Router::new()
        .route("/guarded", any(guarded))
        .route("/unguarded", any(unguarded))
        .layer(registry.http_layer());
    Server::start(app).await
}

/// The client's side of an open WebSocket. Dropping it closes the connection.
pub(crate) struct Socket {
    stream: WebSocketStream<TokioIo<Upgraded>>,
    _client: Client,
}

impl Socket {
    pub(crate) async fn open(server: &Server, protocol: Protocol, path: &str) -> Self {
        let mut client = server.connect(protocol).await;
        let request = match protocol {
            Protocol::Http1 => Request::get(path)
                .header("host", "localhost")
                .header("connection", "upgrade")
                .header("upgrade", "websocket")
                .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            Protocol::Http2 => Request::connect(server.url(path))
                .extension(ExtendedConnect::from_static("websocket")),
        };
        let request = request.header("sec-websocket-version", "13");
        let request = request.body(Empty::new()).unwrap();
        let response = client.send_request(request).await.unwrap();
        assert_eq!(response.status(), upgraded(protocol));
        let io = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
        Self {
            stream: WebSocketStream::from_raw_socket(io, Role::Client, None).await,
            _client: client,
        }
    }

    /// Sends a message and reads the answer, which shows that the session is open.
    pub(crate) async fn assert_echoes(&mut self) {
        self.stream.send(Message::text("hello")).await.unwrap();
        let answer = self.stream.next().await.unwrap().unwrap();
        assert_eq!(answer, Message::text("hello"));
    }
}

/// The status of a response that starts a WebSocket.
fn upgraded(protocol: Protocol) -> StatusCode {
    match protocol {
        Protocol::Http1 => StatusCode::SWITCHING_PROTOCOLS,
        Protocol::Http2 => StatusCode::OK,
    }
}

/// Asserts that both requests have ended, each at its response head.
fn assert_two_requests_ended(registry: &Registry, protocol: Protocol) {
    let status = upgraded(protocol);
    assert_eq!(requests_with_status(registry, status.as_str()), 2.0);
    assert_eq!(registry.sum("http_requests_total", &[]), Some(2.0));
    assert_eq!(registry.sum("http_requests_in_progress", &[]), Some(0.0));
    let aborted = registry.sum("http_response_bodies_aborted_total", &[]);
    assert_eq!(aborted, None, "{protocol:?}");
}

#[tokio::test]
async fn open_websockets_without_a_guard_have_no_series_of_connections() {
    for protocol in BOTH_PROTOCOLS {
        let registry = Registry::new();
        let server = serve(&registry).await;
        let mut first = Socket::open(&server, protocol, "/unguarded").await;
        let mut second = Socket::open(&server, protocol, "/unguarded").await;
        for socket in [&mut first, &mut second] {
            socket.assert_echoes().await;
        }
        assert_two_requests_ended(&registry, protocol);
        let open = registry.sum("http_connections_open", &[]);
        assert_eq!(open, None, "{protocol:?}");
        assert!(!registry.render().contains("http_connections_open{"));
    }
}

#[tokio::test]
async fn open_websockets_with_a_guard_are_counted_until_each_ends() {
    for protocol in BOTH_PROTOCOLS {
        let registry = Registry::new();
        let server = serve(&registry).await;
        let open = || registry.sum("http_connections_open", &[("kind", "websocket")]);
        let mut first = Socket::open(&server, protocol, "/guarded").await;
        let mut second = Socket::open(&server, protocol, "/guarded").await;
        for socket in [&mut first, &mut second] {
            socket.assert_echoes().await;
        }
        assert_two_requests_ended(&registry, protocol);
        assert_eq!(open(), Some(2.0), "{protocol:?}");
        first.stream.close(None).await.unwrap();
        wait_until("the first is closed", || open() == Some(1.0)).await;
        // The second one is closed without a closing handshake.
        second.assert_echoes().await;
        drop(second);
        wait_until("the second is closed", || open() == Some(0.0)).await;
        wait_for_requests_to_end(&registry, 2).await;
        assert_two_requests_ended(&registry, protocol);
    }
}
