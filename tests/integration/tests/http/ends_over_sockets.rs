//! Every way a request can end, served by hyper over HTTP/1 and HTTP/2 sockets.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tower::{ServiceBuilder, service_fn};
use tower_prometheus::Registry;

use test_support::body::{ScriptedBody, Step};
use test_support::server::{BOTH_PROTOCOLS, Protocol, Server};
use test_support::{aborted_bodies, requests_with_status, wait_for_requests_to_end, wait_until};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;

fn boxed(body: ScriptedBody) -> UnsyncBoxBody<Bytes, BoxError> {
    body.map_err(BoxError::from).boxed_unsync()
}

/// A service with a path for each kind of response.
async fn answer(request: Request<Incoming>) -> Result<Answer, BoxError> {
    let response = Response::builder();
    Ok(match request.uri().path() {
        "/full" => response.body(Full::from("hello").map_err(|e| match e {}).boxed_unsync())?,
        "/empty" => response.body(Empty::new().map_err(|e| match e {}).boxed_unsync())?,
        "/204" => response
            .status(204)
            .body(boxed(ScriptedBody::stream(&["no"])))?,
        "/304" => response
            .status(304)
            .body(boxed(ScriptedBody::stream(&["no"])))?,
        "/stream" => response.body(boxed(ScriptedBody::stream(&["a", "b", "c"])))?,
        "/length" => response
            .header("content-length", 3)
            .body(boxed(ScriptedBody::stream(&["a", "b", "c"])))?,
        "/longer" => response
            .header("content-length", 2)
            .body(boxed(ScriptedBody::stream(&["ab", "c"])))?,
        "/trailers" => response
            .header("trailer", "x-checksum")
            .body(boxed(ScriptedBody::new([Step::Data("a"), Step::Trailers])))?,
        "/error" => response.body(boxed(ScriptedBody::new([Step::Data("a"), Step::Error])))?,
        "/hang" => response.body(boxed(ScriptedBody::new([Step::Data("a"), Step::Hang])))?,
        "/panic" => panic!("in the handler"),
        "/body-panic" => response.body(boxed(ScriptedBody::new([Step::Data("a"), Step::Panic])))?,
        "/fails" => return Err("the service failed".into()),
        _ => response
            .status(404)
            .body(boxed(ScriptedBody::full("no such page")))?,
    })
}

async fn serve(registry: &Registry) -> Server {
    let service = ServiceBuilder::new()
        .layer(registry.http_layer())
        .service(service_fn(answer));
    Server::start(service).await
}

/// Requests whose body is complete: method, path and status.
const COMPLETE: [(&str, &str, u16); 10] = [
    ("GET", "/full", 200),
    ("GET", "/empty", 200),
    ("HEAD", "/full", 200),
    ("HEAD", "/stream", 200),
    ("GET", "/204", 204),
    ("GET", "/304", 304),
    ("GET", "/stream", 200),
    ("GET", "/length", 200),
    ("GET", "/trailers", 200),
    ("GET", "/nowhere", 404),
];

#[tokio::test]
async fn complete_bodies_are_not_aborted() {
    for protocol in BOTH_PROTOCOLS {
        for (method, path, status) in COMPLETE {
            let registry = Registry::new();
            let server = serve(&registry).await;
            let mut client = server.connect(protocol).await;
            let response = client.send(method, path).await.unwrap();
            assert_eq!(response.status(), status, "{protocol:?} {method} {path}");
            // Over HTTP/2, hyper also sends bodies that are not allowed, and the client reports an error.
            let _ = response.into_body().collect().await;
            wait_for_requests_to_end(&registry, 1).await;
            assert_eq!(requests_with_status(&registry, &status.to_string()), 1.0);
            let aborted = registry.sum("http_response_bodies_aborted_total", &[]);
            assert_eq!(aborted, None, "{protocol:?} {method} {path}");
        }
    }
}

#[tokio::test]
async fn body_longer_than_its_content_length_is_not_aborted() {
    for protocol in BOTH_PROTOCOLS {
        let registry = Registry::new();
        let server = serve(&registry).await;
        let mut client = server.connect(protocol).await;
        let response = client.send("GET", "/longer").await.unwrap();
        // The result of the client does not matter here.
        let _ = response.into_body().collect().await;
        wait_for_requests_to_end(&registry, 1).await;
        assert_eq!(requests_with_status(&registry, "200"), 1.0);
        assert_eq!(
            registry.sum("http_response_bodies_aborted_total", &[]),
            None
        );
    }
}

#[tokio::test]
async fn wrapped_body_keeps_its_content_length() {
    let registry = Registry::new();
    let server = serve(&registry).await;
    let mut client = server.connect(Protocol::Http1).await;
    let response = client.send("GET", "/full").await.unwrap();
    assert_eq!(response.headers()["content-length"], "5");
    let body = response.into_body().collect().await.unwrap();
    assert_eq!(body.to_bytes(), "hello");
    wait_for_requests_to_end(&registry, 1).await;
}

#[tokio::test]
async fn trailers_are_forwarded() {
    let registry = Registry::new();
    let server = serve(&registry).await;
    let mut client = server.connect(Protocol::Http2).await;
    let response = client.send("GET", "/trailers").await.unwrap();
    let collected = response.into_body().collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["x-checksum"], "1");
    wait_for_requests_to_end(&registry, 1).await;
}

#[tokio::test]
async fn failed_body_is_aborted_with_reason_error() {
    for protocol in BOTH_PROTOCOLS {
        let registry = Registry::new();
        let server = serve(&registry).await;
        let mut client = server.connect(protocol).await;
        // Over HTTP/1, the error may occur before the head is sent.
        if let Ok(response) = client.send("GET", "/error").await {
            assert!(response.into_body().collect().await.is_err());
        }
        wait_for_requests_to_end(&registry, 1).await;
        assert_eq!(aborted_bodies(&registry, "error"), 1.0);
        assert_eq!(requests_with_status(&registry, "200"), 1.0);
    }
}

#[tokio::test]
async fn body_of_a_disconnected_client_is_aborted_with_reason_dropped() {
    for protocol in BOTH_PROTOCOLS {
        let registry = Registry::new();
        let server = serve(&registry).await;
        let mut client = server.connect(protocol).await;
        let response = client.send("GET", "/hang").await.unwrap();
        let mut body = response.into_body();
        body.frame().await.unwrap().unwrap();
        assert_eq!(registry.sum("http_requests_in_progress", &[]), Some(1.0));
        drop(body);
        drop(client);
        wait_for_requests_to_end(&registry, 1).await;
        assert_eq!(aborted_bodies(&registry, "dropped"), 1.0);
        assert_eq!(requests_with_status(&registry, "200"), 1.0);
    }
}

#[tokio::test]
async fn request_of_a_client_that_disconnects_before_the_response_is_cancelled() {
    for protocol in BOTH_PROTOCOLS {
        let registry = Registry::new();
        let started = Arc::new(Notify::new());
        let hang = {
            let started = Arc::clone(&started);
            move |_: Request<Incoming>| {
                let started = Arc::clone(&started);
                async move {
                    started.notify_one();
                    std::future::pending::<Result<Answer, BoxError>>().await
                }
            }
        };
        let service = ServiceBuilder::new()
            .layer(registry.http_layer())
            .service(service_fn(hang));
        let server = Server::start(service).await;
        let mut client = server.connect(protocol).await;
        {
            let mut request = Box::pin(client.send("GET", "/"));
            tokio::select! {
                _ = &mut request => panic!("the service never answers"),
                () = started.notified() => {}
            }
            wait_until("the request is in progress", || {
                registry.sum("http_requests_in_progress", &[]) == Some(1.0)
            })
            .await;
        }
        drop(client);
        wait_for_requests_to_end(&registry, 1).await;
        assert_eq!(requests_with_status(&registry, "cancelled"), 1.0);
    }
}

#[tokio::test]
async fn outer_timeout_is_cancelled() {
    let registry = Registry::new();
    let hang = |_: Request<Incoming>| std::future::pending::<Result<Answer, BoxError>>();
    let service = ServiceBuilder::new()
        .timeout(Duration::from_millis(1))
        .layer(registry.http_layer())
        .service(service_fn(hang));
    let server = Server::start(service).await;
    let mut client = server.connect(Protocol::Http1).await;
    assert!(client.send("GET", "/").await.is_err());
    wait_for_requests_to_end(&registry, 1).await;
    assert_eq!(requests_with_status(&registry, "cancelled"), 1.0);
}

#[tokio::test]
async fn panics_are_counted_and_propagate_to_the_server() {
    for protocol in BOTH_PROTOCOLS {
        for (path, status, is_aborted) in
            [("/panic", "panicked", false), ("/body-panic", "200", true)]
        {
            let registry = Registry::new();
            let server = serve(&registry).await;
            let mut client = server.connect(protocol).await;
            if let Ok(response) = client.send("GET", path).await {
                assert!(response.into_body().collect().await.is_err());
            }
            wait_for_requests_to_end(&registry, 1).await;
            assert_eq!(
                requests_with_status(&registry, status),
                1.0,
                "{protocol:?} {path}"
            );
            let expected = if is_aborted { 1.0 } else { 0.0 };
            assert_eq!(aborted_bodies(&registry, "panicked"), expected);
        }
    }
}

#[tokio::test]
async fn service_errors_are_counted_as_error() {
    for protocol in BOTH_PROTOCOLS {
        let registry = Registry::new();
        let server = serve(&registry).await;
        let mut client = server.connect(protocol).await;
        assert!(client.send("GET", "/fails").await.is_err());
        wait_for_requests_to_end(&registry, 1).await;
        assert_eq!(requests_with_status(&registry, "error"), 1.0);
    }
}

/// A client with a connection pool, like that of reqwest, sends concurrent requests and reuses connections.
#[tokio::test]
async fn requests_of_a_pooling_client_are_each_counted_once() {
    use hyper_util::client::legacy::Client;
    use hyper_util::rt::TokioExecutor;
    let registry = Registry::new();
    let server = serve(&registry).await;
    for http2 in [false, true] {
        let client = Client::builder(TokioExecutor::new())
            .http2_only(http2)
            .build_http::<Empty<Bytes>>();
        let fetch = async |path: &str| {
            let response = client.get(server.url(path).parse().unwrap()).await.unwrap();
            response.into_body().collect().await.unwrap().to_bytes()
        };
        for _ in 0..3 {
            let (full, stream, length) =
                tokio::join!(fetch("/full"), fetch("/stream"), fetch("/length"));
            assert_eq!(
                (&full[..], &stream[..], &length[..]),
                (&b"hello"[..], &b"abc"[..], &b"abc"[..])
            );
        }
    }
    wait_for_requests_to_end(&registry, 18).await;
    assert_eq!(requests_with_status(&registry, "200"), 18.0);
    assert_eq!(
        registry.sum("http_response_bodies_aborted_total", &[]),
        None
    );
}

/// Many clients send a request and disconnect at once. hyper may or may not call the service for each; every call
/// is counted, and none stays in progress.
#[tokio::test]
async fn requests_of_disconnected_clients_do_not_stay_in_progress() {
    const CLIENTS: u64 = 50;
    let registry = Registry::new();
    let server = serve(&registry).await;
    for i in 0..CLIENTS {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let request = b"GET /hang HTTP/1.1\r\nhost: x\r\n\r\n";
        stream.write_all(request).await.unwrap();
        if i % 2 == 0 {
            let _ = stream.read(&mut [0; 16]).await.unwrap();
        }
    }
    // The response to one more request shows that the earlier connections were accepted.
    server
        .connect(Protocol::Http1)
        .await
        .fetch("GET", "/full")
        .await;
    wait_for_requests_to_end(&registry, total_when_idle(&registry, CLIENTS + 1).await).await;
}

/// Waits until no request is in progress and returns the total. Half of the clients may disconnect before their
/// request is read; the others are always counted.
async fn total_when_idle(registry: &Registry, most: u64) -> u64 {
    let total = || registry.sum("http_requests_total", &[]).unwrap_or(0.0) as u64;
    wait_until("the requests with a response are counted", || {
        total() > most / 2
    })
    .await;
    wait_until("no request is in progress", || {
        registry.sum("http_requests_in_progress", &[]) == Some(0.0)
    })
    .await;
    assert!(total() <= most);
    total()
}
