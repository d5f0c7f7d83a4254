//! Credentials are sent to the gateway and do not appear anywhere else.

use std::fmt::Display;

use http::Uri;
use hyper_util::rt::TokioIo;
use test_support::warnings::Warnings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower_prometheus::Registry;
use tower_prometheus::collect::Samples;
use tower_prometheus_push::{Connector, Error, PushError, PushGateway};

use crate::{Gateway, chain, registry, unused_address};

const SECRET: &str = "hunter2-s3cret";
/// `ada:hunter2-s3cret` in base64.
const ENCODED: &str = "YWRhOmh1bnRlcjItczNjcmV0";

/// Returns a client for each way to set credentials, and the `Authorization` header that it must send.
fn clients(address: impl Display) -> [(PushGateway, String); 4] {
    clients_of(&|userinfo| PushGateway::new(&format!("http://{userinfo}{address}/base"), "nightly"))
}

/// As [`clients`], with a function that creates a client for a user and a password in the URL.
fn clients_of(new: &dyn Fn(&str) -> Result<PushGateway, Error>) -> [(PushGateway, String); 4] {
    let basic = || format!("Basic {ENCODED}");
    let new = |userinfo: &str| new(userinfo).unwrap().retries(0);
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

/// Also finds the start of the secret, because a text may be truncated.
#[track_caller]
fn assert_redacted(text: &str) {
    for secret in ["hunter2", "s3cret", &ENCODED[..8], &ENCODED[8..], "ada:"] {
        assert!(!text.contains(secret), "{text}");
    }
}

fn outputs(error: &(dyn std::error::Error + 'static)) -> String {
    format!("{error} {error:?} {error:#?} {}", chain(error))
}

/// Runs every kind of push, which must fail with an error that does not contain the credentials.
async fn assert_fails_redacted(
    clients: [(PushGateway, String); 4],
    is_expected: impl Fn(&PushError) -> bool,
) {
    for (client, _) in clients {
        assert_redacted(&format!("{client:?} {client:#?}"));
        for result in [
            client.push(&registry()).await,
            client.push_add(&registry().handler()).await,
            client.delete().await,
        ] {
            let error = result.unwrap_err();
            assert!(is_expected(&error), "{error:?}");
            assert_redacted(&outputs(&error));
        }
    }
}

/// Returns a gateway that rejects every push and repeats the credentials in its response.
async fn echoing(body: impl Fn(&str) -> String + Clone + Send + 'static) -> Gateway {
    Gateway::start(&[400], move |headers| {
        body(headers["authorization"].to_str().unwrap())
    })
    .await
}

/// Captures all log events, because the test runs on one thread.
#[tokio::test]
async fn credentials_do_not_appear_in_errors_debug_output_or_logs() {
    let log = Warnings::capture_all();

    let refusing = unused_address();
    assert_fails_redacted(clients(refusing), PushError::is_connect).await;
    assert_fails_redacted(clients("name.invalid"), PushError::is_connect).await;
    let (retrying, _) = clients(refusing).into_iter().next().unwrap();
    retrying.retries(1).push(&registry()).await.unwrap_err();

    for status in [&[401], &[302], &[503]] {
        let gateway = Gateway::answering(status).await;
        let has_status = |error: &PushError| error.status().unwrap().as_u16() == status[0];
        assert_fails_redacted(clients(gateway.address()), has_status).await;
    }

    // Some proxies send error pages that list the request's headers, or credentials that they decoded.
    let is_left_out = |error: &PushError| error.to_string().contains("left out");
    for gateway in [
        echoing(|header| header.repeat(3)).await,
        echoing(|_| format!("wrong password {SECRET}, token {SECRET}")).await,
        // The end is missing.
        echoing(|header| header[..header.len() - 2].to_owned()).await,
        // The credentials start within the shown 4096 bytes and end after them.
        echoing(|header| format!("{}{header}", "x".repeat(4096 - header.len() / 2))).await,
    ] {
        assert_fails_redacted(clients(gateway.address()), is_left_out).await;
    }

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let echo_without_http = async {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            let _ = stream.write_all(&request[..length]).await;
        }
    };
    let has_no_status = |error: &PushError| error.status().is_none() && !error.is_connect();
    tokio::select! {
        () = echo_without_http => unreachable!("the accept loop does not end"),
        () = assert_fails_redacted(clients(address), has_no_status) => (),
    }

    assert_connectors_redact().await;
    assert_nothing_sent_redacts().await;

    // The clock stands still, and jumps to the timeout of 10 s.
    tokio::time::pause();
    let never = Connector::new(tower::service_fn(|_: Uri| {
        std::future::pending::<Result<TokioIo<TcpStream>, std::io::Error>>()
    }));
    assert_fails_redacted(connecting("http", &never), PushError::is_timeout).await;

    let log = log.all().join("\n");
    assert!(log.contains("push failed; retrying in 100ms"), "{log}");
    assert!(log.contains("refused"), "{log}");
    assert_redacted(&log);
}

/// Returns [`clients`] with a custom connector.
fn connecting(scheme: &str, connector: &Connector) -> [(PushGateway, String); 4] {
    clients_of(&|userinfo| {
        let url = format!("{scheme}://{userinfo}gateway.example");
        PushGateway::with_connector(&url, "nightly", connector.clone())
    })
}

async fn assert_connectors_redact() {
    // The errors of these connectors show all that they receive.
    let failing = Connector::new(tower::service_fn(async |url: Uri| {
        Err::<TokioIo<TcpStream>, _>(format!("no route to {url}"))
    }));
    for scheme in ["http", "https"] {
        let shows_url = |error: &PushError| chain(error).contains("://gateway.example/");
        assert_fails_redacted(connecting(scheme, &failing), shows_url).await;
    }

    let gateway = echoing(|header| format!("proxy received {header}")).await;
    let address = gateway.address();
    let proxy = Connector::new(tower::service_fn(move |_: Uri| async move {
        TcpStream::connect(address).await.map(TokioIo::new)
    }));
    let proxy = proxy.forward_proxy();
    assert_redacted(&format!("{proxy:?}"));
    assert_fails_redacted(connecting("http", &proxy), PushError::is_rejected).await;

    #[cfg(feature = "tls")]
    {
        // A gateway without TLS.
        let url = |userinfo: &str| format!("https://{userinfo}{address}");
        let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let tls = Connector::with_ca_certificate(key.cert.pem()).unwrap();
        let clients =
            clients_of(&|info| PushGateway::with_connector(&url(info), "nightly", tls.clone()));
        assert_fails_redacted(clients, PushError::is_connect).await;
    }
}

/// Errors before anything is sent.
async fn assert_nothing_sent_redacts() {
    let failing = Registry::new();
    let fails = |_: &mut Samples| Err("no such pool".into());
    failing.collector("fails", fails).unwrap();
    let failing = failing.handler().fail_on_collect_error();
    let labelled = Registry::builder().constant_label("job", "own");
    let labelled = labelled.build().unwrap();
    metrics::with_local_recorder(&labelled, || metrics::counter!("jobs_total").increment(1));
    for (client, _) in clients("gateway.example") {
        let error = client.push(&failing).await.unwrap_err();
        assert!(error.is_gather());
        assert_redacted(&outputs(&error));
        let error = client.push_add(&labelled).await.unwrap_err();
        assert!(error.is_label_conflict());
        assert_redacted(&outputs(&error));
    }
}

#[test]
fn credentials_do_not_appear_in_configuration_errors() {
    let new = |url: &str| PushGateway::new(url, "nightly");
    let client = || new("http://gateway").unwrap();
    let assert_error = |result: Result<PushGateway, Error>| {
        let error = result.unwrap_err();
        assert_redacted(&outputs(&error));
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
        format!("http://ada:1/{SECRET}@host"),
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
    #[cfg(feature = "tls")]
    for pem in [SECRET.to_owned(), format!("-----BEGIN {SECRET}\n{SECRET}")] {
        let error = Connector::with_ca_certificate(pem).unwrap_err();
        assert_redacted(&outputs(&error));
    }
}
