//! Credentials are sent to the gateway and do not appear anywhere else.

use std::io;
use std::sync::{Arc, Mutex};

use tower_prometheus_push::{Error, PushGateway};

use crate::{Gateway, chain, registry, unused_address};

const SECRET: &str = "hunter2-s3cret";
/// `ada:hunter2-s3cret` in base64.
const ENCODED: &str = "YWRhOmh1bnRlcjItczNjcmV0";

/// Returns a client for each way to set credentials, and the `Authorization` header that it must send.
fn clients(host: impl std::fmt::Display) -> [(PushGateway, String); 4] {
    let new = |userinfo: &str| {
        let url = format!("http://{userinfo}{host}/base");
        PushGateway::new(&url, "nightly").unwrap().retries(1)
    };
    let basic = || format!("Basic {ENCODED}");
    [
        (new(&format!("ada:{SECRET}@")), basic()),
        (new("ada:hunter2%2Ds3cret@"), basic()),
        (new("").basic_auth("ada", SECRET).unwrap(), basic()),
        (
            new("").bearer_token(SECRET).unwrap(),
            format!("Bearer {SECRET}"),
        ),
    ]
}

#[tokio::test]
async fn credentials_are_sent_with_every_request() {
    let gateway = Gateway::answering(&[202]).await;
    for (client, expected) in clients(gateway.address()) {
        client.push(&registry()).await.unwrap();
        client.push_add(&registry()).await.unwrap();
        client.delete().await.unwrap();
        let requests = gateway.requests();
        assert_eq!(requests.len(), 3);
        for (_, uri, headers) in requests {
            assert_eq!(uri.path(), "/base/metrics/job/nightly");
            assert_eq!(headers["authorization"], expected);
            assert_eq!(headers["host"], gateway.address().to_string());
        }
    }
}

#[tokio::test]
async fn empty_user_info_sends_no_credentials() {
    let gateway = Gateway::answering(&[202]).await;
    let url = format!("http://@{}", gateway.address());
    let client = PushGateway::new(&url, "nightly").unwrap();
    client.push(&registry()).await.unwrap();
    let (_, _, headers) = gateway.requests().pop().unwrap();
    assert!(!headers.contains_key("authorization"));
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[track_caller]
fn assert_redacted(text: &str) {
    for secret in [SECRET, ENCODED, "ada:", "hunter2%2D"] {
        assert!(!text.contains(secret), "{text}");
    }
}

/// Captures all log events, because the test runs on one thread.
#[tokio::test]
async fn credentials_do_not_appear_in_errors_debug_output_or_logs() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let rejecting = Gateway::answering(&[503, 401]).await;
    // Some proxies send error pages that list the request's headers.
    let echoing = Gateway::start(&[400], |headers| {
        headers["authorization"].to_str().unwrap().repeat(3)
    })
    .await;
    // The credentials start within the shown 4096 bytes and end after them.
    let padded = Gateway::start(&[400], |headers| {
        let value = headers["authorization"].to_str().unwrap();
        format!("{}{value}", "x".repeat(4096 - value.len() / 2))
    })
    .await;
    let hosts = [
        unused_address().to_string(),
        "name.invalid".to_owned(),
        rejecting.address().to_string(),
        echoing.address().to_string(),
        padded.address().to_string(),
    ];
    for host in hosts {
        for (client, _) in clients(&host) {
            let error = client.push(&registry()).await.unwrap_err();
            assert!(error.to_string().contains(&host), "{error}");
            assert_redacted(&format!(
                "{client:?} {client:#?} {error} {error:?} {error:#?} {}",
                chain(&error)
            ));
        }
    }

    let log = log.0.lock().unwrap();
    let log = String::from_utf8_lossy(&log);
    assert!(log.contains("push failed; retrying in 100ms"), "{log}");
    assert!(log.contains("refused"), "{log}");
    assert_redacted(&log);
}

#[test]
fn credentials_do_not_appear_in_configuration_errors() {
    let new = |url: &str| PushGateway::new(url, "nightly");
    let client = || new("http://gateway").unwrap();
    let assert_error = |result: Result<PushGateway, Error>| {
        let error = result.unwrap_err();
        assert_redacted(&format!("{error} {error:?} {error:#?} {}", chain(&error)));
    };
    for url in [
        format!("ftp://ada:{SECRET}@host"),
        format!("http://ada:{SECRET}@"),
        format!("http://ada:{SECRET}"),
        format!("http://ada:{SECRET}@host:port"),
        format!("http://ada:{SECRET}@host:99999"),
        format!("http://ada:{SECRET} @host"),
        format!("http://ada:{SECRET}@host?x"),
        format!("http://ada:{SECRET}#x@host"),
        format!("http://ada:{SECRET}/x@host:y"),
        format!("http://ada:{SECRET}%ff@host"),
        format!("http://ada:{SECRET}%0a@host"),
        format!("ada:{SECRET}@host"),
        SECRET.to_owned(),
    ] {
        assert_error(new(&url));
    }
    let with_newline = format!("{SECRET}\n");
    assert_error(client().basic_auth("ada", &with_newline));
    assert_error(client().basic_auth("ada:", SECRET));
    assert_error(client().bearer_token(&with_newline));
    assert_error(
        client()
            .basic_auth("ada", SECRET)
            .unwrap()
            .bearer_token(SECRET),
    );
    let url = format!("http://ada:{SECRET}@host");
    assert_error(new(&url).unwrap().group("a-b", "x"));
    assert_error(PushGateway::new(&url, ""));
    #[cfg(not(feature = "tls"))]
    assert_error(new(&format!("https://ada:{SECRET}@host")));
}
