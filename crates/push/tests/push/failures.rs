//! Retries, and the causes and messages of errors.

use std::error::Error as _;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Method, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tower_prometheus::Registry;
use tower_prometheus::collect::Samples;
use tower_prometheus_push::{Connector, PushError, PushGateway};

use crate::{Gateway, registry, unused_address};

async fn push(url: &str, retries: u32) -> Result<(), PushError> {
    let gateway = PushGateway::new(url, "nightly").unwrap().retries(retries);
    let gateway = gateway.group("disk", "/dev/sda").unwrap();
    gateway.push(&registry()).await
}

#[tokio::test]
async fn server_errors_are_retried_and_other_statuses_are_not() {
    let gateway = Gateway::answering(&[503, 500, 202]).await;
    push(&gateway.server.url("/prefix/"), 2).await.unwrap();
    let requests = gateway.requests();
    assert_eq!(requests.len(), 3);
    for (method, uri, headers) in requests {
        assert_eq!(method, Method::PUT);
        assert_eq!(
            uri.path(),
            "/prefix/metrics/job/nightly/disk@base64/L2Rldi9zZGE"
        );
        assert_eq!(
            headers["content-type"],
            "text/plain; version=0.0.4; charset=utf-8"
        );
        assert_eq!(headers["host"], gateway.address().to_string());
        assert!(!headers.contains_key("authorization"));
    }

    let gateway = Gateway::answering(&[502]).await;
    let error = push(&gateway.server.url(""), 2).await.unwrap_err();
    assert_eq!(gateway.requests().len(), 3);
    assert_eq!(error.status(), Some(StatusCode::BAD_GATEWAY));
    assert!(!error.is_rejected());
    assert_eq!(
        error.to_string(),
        format!(
            "Pushgateway http://{} answered 502 Bad Gateway: the reason",
            gateway.address()
        )
    );

    for rejection in [&[400], &[404], &[302]] {
        let gateway = Gateway::answering(rejection).await;
        let error = push(&gateway.server.url(""), 2).await.unwrap_err();
        assert_eq!(gateway.requests().len(), 1);
        assert_eq!(error.status().unwrap().as_u16(), rejection[0]);
        assert!(error.is_rejected());
    }
}

#[tokio::test]
async fn error_names_the_unreachable_gateway() {
    let address = unused_address();
    let error = push(&format!("http://{address}"), 1).await.unwrap_err();
    assert_eq!(error.status(), None);
    assert!(error.is_connect());
    assert!(!error.is_timeout() && !error.is_rejected() && !error.is_gather());
    assert_eq!(
        error.to_string(),
        format!("Pushgateway http://{address} cannot be reached")
    );
    assert_eq!(io_error_kind(&error), Some(ErrorKind::ConnectionRefused));
}

/// Returns the kind of the first I/O error among the sources.
fn io_error_kind(error: &PushError) -> Option<ErrorKind> {
    let mut sources = std::iter::successors(error.source(), |error| (**error).source());
    sources.find_map(|error| Some(error.downcast_ref::<io::Error>()?.kind()))
}

#[tokio::test(start_paused = true)]
async fn missing_response_is_a_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let start = tokio::time::Instant::now();
    let error = push(&url, 1).await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert!(error.source().is_some());
    // Two attempts of 10 s, and a pause of 0.1 s between them.
    let waited = start.elapsed();
    assert!(
        (Duration::from_millis(20_100)..Duration::from_millis(20_200)).contains(&waited),
        "{waited:?}"
    );
}

/// Over a pipe in memory: with a socket, the paused clock could reach the time limit before the response arrives.
#[tokio::test(start_paused = true)]
async fn rejection_whose_body_stalls_is_not_retried() {
    let attempts = Arc::new(AtomicUsize::new(0));
    let connections = Arc::clone(&attempts);
    let connector = Connector::new(tower::service_fn(move |_: Uri| {
        connections.fetch_add(1, Ordering::Relaxed);
        let (client, mut gateway) = tokio::io::duplex(64 * 1024);
        tokio::spawn(async move {
            assert_ne!(gateway.read(&mut [0; 4096]).await.unwrap(), 0);
            let head = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 100\r\n\r\nthe start of";
            gateway.write_all(head).await.unwrap();
            // Keeps the connection open until the client closes it.
            let _ = gateway.read_to_end(&mut Vec::new()).await;
        });
        async { Ok::<_, io::Error>(TokioIo::new(client)) }
    }));
    let client = PushGateway::with_connector("http://gateway", "nightly", connector).unwrap();
    let error = client.retries(2).push(&registry()).await.unwrap_err();
    assert_eq!(error.status(), Some(StatusCode::BAD_REQUEST));
    assert!(error.is_rejected() && !error.is_timeout());
    assert_eq!(
        error.to_string(),
        "Pushgateway http://gateway answered 400 Bad Request: the start of"
    );
    assert_eq!(attempts.load(Ordering::Relaxed), 1);
}

/// A gateway that does not accept connections is told apart from one that does not respond.
#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn connection_that_is_not_accepted_is_an_error_of_the_connection() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    // With this backlog, one connection fits. The kernel ignores further ones.
    let _first = std::net::TcpStream::connect(address).unwrap();
    let error = push(&format!("http://{address}"), 0).await.unwrap_err();
    assert!(error.is_connect() && !error.is_timeout(), "{error:?}");
}

#[tokio::test]
async fn broken_connection_is_retried() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert_ne!(stream.read(&mut [0; 4096]).await.unwrap(), 0);
        stream.write_all(b"nonsense\r\n\r\n").await.unwrap();
        drop(stream);
        let (mut stream, _) = listener.accept().await.unwrap();
        assert_ne!(stream.read(&mut [0; 4096]).await.unwrap(), 0);
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(answer).await.unwrap();
    };
    let (pushed, ()) = tokio::join!(push(&url, 1), serve);
    pushed.unwrap();

    let serve = async {
        let (stream, _) = listener.accept().await.unwrap();
        drop(stream);
    };
    let (pushed, ()) = tokio::join!(push(&url, 0), serve);
    let error = pushed.unwrap_err();
    assert_eq!(error.status(), None);
    assert!(!error.is_connect() && !error.is_timeout() && !error.is_rejected());
    assert!(error.source().is_some());
}

/// The Pushgateway would overwrite the label's values, or reject two series that become equal.
#[tokio::test]
async fn nothing_is_pushed_if_a_label_is_also_a_grouping_label() {
    let gateway = Gateway::answering(&[202]).await;
    let client = PushGateway::new(&gateway.server.url(""), "nightly").unwrap();
    let client = client.group("disk", "sda").unwrap();
    let push = async |labels: &'static [(&'static str, &'static str)]| {
        let registry = registry();
        metrics::with_local_recorder(&registry, || {
            metrics::histogram!("read_seconds", labels).record(0.5);
        });
        let pushed = client.push(&registry).await;
        let added = client.push_add(&registry.handler()).await;
        let (first, second) = (outcome(pushed), outcome(added));
        assert_eq!(first, second);
        first
    };
    for (labels, label) in [(&[("job", "nightly")], "job"), (&[("disk", "sdb")], "disk")] {
        let error = push(labels).await.unwrap_err();
        let expected = format!("read_seconds_bucket: label {label:?} is also a grouping label");
        assert!(error.starts_with(&expected), "{error}");
        assert!(gateway.requests().is_empty());
    }
    let last = &[
        ("a", "\"}{disk=\"x\",job=\"\\"),
        ("b", "x"),
        ("disk", "sda"),
    ];
    push(last).await.unwrap_err();
    assert!(gateway.requests().is_empty());

    // Names in label values, and names that only contain that of a grouping label.
    for other in [
        &[("a", "{job=\"x\",disk=\"x\"}"), ("b", "\\")],
        &[("Job", "x"), ("my_job", "x")],
        &[("disk_name", "x"), ("instance", "x")],
    ] {
        push(other).await.unwrap();
        assert_eq!(gateway.requests().len(), 2);
    }
}

fn outcome(pushed: Result<(), PushError>) -> Result<(), String> {
    pushed.map_err(|error| {
        assert!(error.is_label_conflict(), "{error}");
        assert!(!error.is_gather() && error.status().is_none());
        error.to_string()
    })
}

#[tokio::test]
async fn nothing_is_pushed_if_gathering_fails() {
    let gateway = Gateway::answering(&[202]).await;
    let registry = Registry::new();
    let fails = |_: &mut Samples| Err("no such pool".into());
    registry.collector("fails", fails).unwrap();
    let handler = registry.handler().fail_on_collect_error();
    let client = PushGateway::new(&gateway.server.url(""), "nightly").unwrap();
    let error = client.push(&handler).await.unwrap_err();
    assert!(error.is_gather());
    assert_eq!(error.status(), None);
    assert!(
        error
            .to_string()
            .contains("collector \"fails\" failed: no such pool"),
        "{error}"
    );
    assert!(gateway.requests().is_empty());
}
