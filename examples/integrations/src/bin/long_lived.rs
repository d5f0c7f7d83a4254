//! WebSockets and server-sent events: open connections are a gauge, and request durations end when they open.
//!
//! ```text
//! $ cargo run --release -p integrations --bin long_lived
//! connections open:
//! http_connections_open{endpoint="/chat",kind="websocket"} 3
//! http_connections_open{endpoint="/ticks",kind="event-stream"} 2
//! http_request_duration_seconds_sum{endpoint="/chat",method="GET"} 0.000053472
//! http_request_duration_seconds_sum{endpoint="/ticks",method="GET"} 0.000024841
//!
//! connections closed:
//! http_connections_open{endpoint="/chat",kind="websocket"} 0
//! http_connections_open{endpoint="/ticks",kind="event-stream"} 0
//! http_request_duration_seconds_sum{endpoint="/chat",method="GET"} 0.000053472
//! http_request_duration_seconds_sum{endpoint="/ticks",method="GET"} 0.000024841
//! ```
//!
//! The program keeps three WebSockets and two event streams open for 300 ms, and prints the metrics
//! before and after they close. With `SERVE=1` it continues to serve. `PORT` sets the port, 3000 by
//! default.

use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::response::sse::{Event, Sse};
use axum::response::{Extension, IntoResponse};
use axum::{Router, routing::get};
use futures_util::{Stream, StreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower_prometheus::{Registry, http::LongLived};

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let metrics = Registry::new();
    let app = Router::new()
        .route("/chat", get(chat))
        .route("/ticks", get(ticks))
        .route_service("/metrics", metrics.handler())
        .layer(metrics.http_layer());

    let port = std::env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    let address = listener.local_addr()?.to_string();
    let server = tokio::spawn(async { axum::serve(listener, app).await });

    open_and_close(&address, &metrics).await?;
    if std::env::var_os("SERVE").is_some() {
        println!("\nserving http://{address}/chat, /ticks and /metrics");
        server.await??;
    }
    Ok(())
}

/// The extension marks the response as long-lived. The session holds the guard: the connection
/// counts as open until the guard is dropped.
async fn chat(upgrade: WebSocketUpgrade) -> impl IntoResponse {
    let (mark, guard) = LongLived::guarded("websocket");
    let echo = async move |mut socket: WebSocket| {
        let _open = guard;
        while let Some(Ok(message)) = socket.recv().await {
            let _ = socket.send(message).await;
        }
    };
    (Extension(mark), upgrade.on_upgrade(echo))
}

/// An event stream is recognized by its content type. It counts as open until its body ends.
async fn ticks() -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let tick = |n: u64| async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(Event::default().data(n.to_string()))
    };
    Sse::new(stream::iter(0..).then(tick))
}

/// Opens connections, keeps them open for 300 ms, and closes them.
async fn open_and_close(address: &str, metrics: &Registry) -> Result<()> {
    let mut sockets = Vec::new();
    for _ in 0..3 {
        let stream = TcpStream::connect(address).await?;
        let url = format!("ws://{address}/chat");
        sockets.push(tokio_tungstenite::client_async(url, stream).await?.0);
    }
    let mut streams = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(address).await?;
        let request = b"GET /ticks HTTP/1.1\r\nhost: localhost\r\n\r\n";
        stream.write_all(request).await?;
        let mut response = Vec::new();
        while !response.windows(5).any(|window| window == b"data:") {
            stream.read_buf(&mut response).await?;
        }
        streams.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    print("connections open", metrics);

    drop((sockets, streams));
    while metrics.sum("http_connections_open", &[]) != Some(0.0) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    print("\nconnections closed", metrics);
    Ok(())
}

fn print(when: &str, metrics: &Registry) {
    println!("{when}:");
    for line in metrics.render().lines() {
        if line.starts_with("http_connections_open") || line.contains("seconds_sum") {
            println!("{line}");
        }
    }
}
