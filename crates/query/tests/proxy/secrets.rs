//! Credentials are sent only to the upstream, and headers of clients are not forwarded by default.

use http::header::LOCATION;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use test_support::warnings::Warnings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tower_prometheus_query::{QueryProxy, QueryProxyBuilder};

use crate::fake_upstream::{FakeUpstream, VALID_QUERY, get, send, send_and_read};

const SECRET: &str = "hunter2-s3cret";
/// `ada:hunter2-s3cret` in base64.
const BASIC: &str = "Basic YWRhOmh1bnRlcjItczNjcmV0";

#[tokio::test]
async fn upstream_receives_the_credentials() {
    let upstream = FakeUpstream::with_text("[]").await;
    let address = upstream.server.address;
    for (proxy, value) in [
        (
            upstream.proxy().bearer_auth(SECRET),
            format!("Bearer {SECRET}"),
        ),
        (upstream.proxy().basic_auth("ada", SECRET), BASIC.to_owned()),
        (
            QueryProxy::builder(format!("http://ada:{SECRET}@{address}")),
            BASIC.to_owned(),
        ),
        (
            QueryProxy::builder(format!("http://ada:hunter2%2Ds3cret@{address}/base")),
            BASIC.to_owned(),
        ),
    ] {
        let proxy = proxy.build().unwrap();
        for target in [VALID_QUERY, "/services", "/health"] {
            get(&proxy, target).await;
            let request = upstream.requests().pop().unwrap();
            assert_eq!(request.headers["authorization"], value);
            assert_eq!(request.headers["host"], address.to_string());
        }
    }
}

/// Returns a proxy for each way to set credentials and headers.
fn proxies(scheme: &str, address: &str) -> Vec<QueryProxyBuilder> {
    let url = |userinfo: &str| QueryProxy::builder(format!("{scheme}://{userinfo}{address}"));
    let with_credentials = [
        url(&format!("ada:{SECRET}@")),
        url("ada:hunter2%2Ds3cret@"),
        url("").basic_auth("ada", SECRET),
        url("").bearer_auth(SECRET),
        url("").header("authorization", format!("Custom {SECRET}")),
    ];
    let all = with_credentials.into_iter();
    all.map(|proxy| proxy.header("X-Scope-OrgID", SECRET).max_response_bytes(10))
        .collect()
}

/// Sends a request to each endpoint of each proxy, none of which gets a useful response.
async fn assert_fails_redacted(proxies: Vec<QueryProxyBuilder>) {
    for (number, proxy) in proxies.into_iter().enumerate() {
        assert_no_secret(&format!("{proxy:?} {proxy:#?}"));
        let proxy = match number % 2 {
            0 => proxy,
            _ => proxy.force_label("tenant", "a"),
        };
        let proxy = proxy.build().unwrap();
        assert_no_secret(&format!("{proxy:?} {proxy:#?}"));
        for target in [VALID_QUERY, "/services", "/health"] {
            let request = Request::get(target).body(()).unwrap();
            let response = send(&proxy, request).await;
            assert_no_secret(&format!("{response:?}"));
            match response.into_body().collect().await {
                Ok(body) => assert_no_secret(&String::from_utf8_lossy(&body.to_bytes())),
                Err(error) => assert_no_secret(&with_sources(&*error)),
            }
        }
    }
}

/// Serves connections with the bytes that `respond` returns for a request, which need not be HTTP.
async fn serve(listener: &TcpListener, respond: impl Fn(&[u8]) -> Vec<u8>) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        let length = stream.read(&mut request).await.unwrap();
        let _ = stream.write_all(&respond(&request[..length])).await;
    }
}

/// All requests fail: an error message could contain the URL or a header of the upstream request. Captures all log events,
/// because the test runs on one thread.
#[tokio::test]
async fn credentials_do_not_appear_in_debug_output_responses_errors_or_logs() {
    let log = Warnings::capture_all();
    let unused = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().to_string()
    };
    assert_fails_redacted(proxies("http", &unused)).await;
    assert_fails_redacted(proxies("http", "name.invalid")).await;

    for status in [302, 401, 500] {
        let status = StatusCode::from_u16(status).unwrap();
        let upstream = FakeUpstream::start(move |_| (status, [(LOCATION, "/login")])).await;
        let address = upstream.server.address.to_string();
        assert_fails_redacted(proxies("http", &address)).await;
    }
    let too_large = FakeUpstream::with_text("more than ten bytes").await;
    let address = too_large.server.address.to_string();
    assert_fails_redacted(proxies("http", &address)).await;

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::select! {
        () = serve(&listener, <[u8]>::to_vec) => unreachable!("the accept loop does not end"),
        () = assert_fails_redacted(proxies("http", &address)) => (),
    }
    let truncated = |_: &[u8]| b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_vec();
    tokio::select! {
        () = serve(&listener, truncated) => unreachable!("the accept loop does not end"),
        () = assert_fails_redacted(proxies("http", &address)) => (),
    }
    #[cfg(feature = "tls")]
    tokio::select! {
        () = serve(&listener, <[u8]>::to_vec) => unreachable!("the accept loop does not end"),
        () = assert_fails_redacted(trusting(proxies("https", &address))) => (),
    }

    // The clock stands still, and jumps to the time limits.
    tokio::time::pause();
    assert_fails_redacted(proxies("http", &address)).await;

    let log = log.all().join("\n");
    for expected in ["refused", "query proxy: the query of /services fails"] {
        assert!(log.contains(expected), "{log}");
    }
    assert_no_secret(&log);
}

#[cfg(feature = "tls")]
fn trusting(proxies: Vec<QueryProxyBuilder>) -> Vec<QueryProxyBuilder> {
    let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let proxies = proxies.into_iter();
    proxies
        .map(|proxy| proxy.ca_certificate(key.cert.pem()))
        .collect()
}

/// Returns `Display` and `Debug` of an error and all its sources.
fn with_sources(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(Some(error), |error| error.source());
    sources
        .map(|error| format!("{error} {error:?}\n"))
        .collect()
}

#[track_caller]
fn assert_no_secret(text: &str) {
    for secret in ["hunter2", "s3cret", "YWRhOmh1", "bnRlcjItczNjcmV0", "ada:"] {
        assert!(!text.contains(secret), "{text}");
    }
}

/// Errors of `build` must not contain credentials, because applications log them.
#[test]
fn credentials_do_not_appear_in_build_errors() {
    let invalid_urls = [
        format!("ftp://ada:{SECRET}@host"),
        format!("http://ada:{SECRET}@"),
        format!("http://ada:{SECRET}@host:port"),
        format!("http://ada:{SECRET} @host"),
        format!("http://ada:{SECRET}@host?x"),
        format!("http://ada:{SECRET}@host/../x"),
        format!("http://ada:1/{SECRET}@host"),
        format!("http://ada:{SECRET}#x@host"),
        format!("http://ada:{SECRET}%0a@host"),
        format!("http://ada:{SECRET}%ff@host"),
        SECRET.to_owned(),
    ];
    for url in invalid_urls {
        let builder = QueryProxy::builder(&url);
        assert_no_secret(&format!("{builder:?}"));
        let error = builder.build().unwrap_err();
        assert_no_secret(&with_sources(&error));
    }
    let secret_with_newline = format!("{SECRET}\n");
    for builder in [
        QueryProxy::builder("http://host").bearer_auth(&secret_with_newline),
        QueryProxy::builder("http://host").header("x-scope-orgid", &secret_with_newline),
        QueryProxy::builder("http://host").basic_auth("a:da", SECRET),
        QueryProxy::builder("http://host").basic_auth("ada", &secret_with_newline),
        // Arguments in the wrong place.
        QueryProxy::builder("http://host").header(format!("authorization: {SECRET}"), ""),
        QueryProxy::builder("http://host").forward_header(format!("authorization: {SECRET}")),
        QueryProxy::builder("http://host")
            .health_path(format!("http://ada:{SECRET}@host/-/healthy")),
        QueryProxy::builder("http://host").mounted_at(format!("http://ada:{SECRET}@host/")),
        QueryProxy::builder("http://host")
            .basic_auth("ada", SECRET)
            .bearer_auth(SECRET),
        QueryProxy::builder(format!("http://ada:{SECRET}@host")).bearer_auth(SECRET),
    ] {
        assert_no_secret(&format!("{builder:?}"));
        let error = builder.build().unwrap_err();
        assert_no_secret(&with_sources(&error));
    }
    #[cfg(not(feature = "tls"))]
    {
        let builder = QueryProxy::builder(format!("https://ada:{SECRET}@host"));
        assert_no_secret(&with_sources(&builder.build().unwrap_err()));
    }
    #[cfg(feature = "tls")]
    for pem in [SECRET.to_owned(), format!("-----BEGIN {SECRET}\n{SECRET}")] {
        let builder = QueryProxy::builder("https://host").ca_certificate(pem);
        assert_no_secret(&format!("{builder:?}"));
        assert_no_secret(&with_sources(&builder.build().unwrap_err()));
    }
}

#[tokio::test]
async fn empty_user_info_sends_no_credentials() {
    let upstream = FakeUpstream::with_text("[]").await;
    let proxy = QueryProxy::builder(format!("http://@{}", upstream.server.address));
    get(&proxy.build().unwrap(), VALID_QUERY).await;
    let request = upstream.only_request();
    assert!(!request.headers.contains_key("authorization"));
}

fn browser_request() -> Request<()> {
    Request::get(VALID_QUERY)
        .header("authorization", "Bearer of-the-client")
        .header("cookie", "session=1")
        .header("x-scope-orgid", "another")
        .header("x-forwarded-for", "10.0.0.1")
        .header("connection", "x-hop, keep-alive")
        .header("x-hop", "1")
        .header("te", "trailers")
        .header("transfer-encoding", "chunked")
        .header("content-length", "5")
        .header("expect", "100-continue")
        .header("upgrade", "websocket")
        .header("host", "evil")
        .header("traceparent", "00-1-1-01")
        .header("accept-encoding", "gzip")
        .body(())
        .unwrap()
}

#[tokio::test]
async fn headers_of_the_client_are_not_forwarded_by_default() {
    let upstream = FakeUpstream::with_text("ok").await;
    let proxy = upstream.proxy().build().unwrap();
    assert_eq!(send_and_read(&proxy, browser_request()).await.status, 200);
    let request = upstream.only_request();
    let names: Vec<_> = request.headers.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["host"], "{request:?}");
    assert_eq!(request.headers["host"], upstream.server.address.to_string());
}

#[tokio::test]
async fn selected_headers_are_forwarded_and_constant_headers_are_added() {
    let upstream = FakeUpstream::with_text("ok").await;
    let proxy = upstream
        .proxy()
        .header("X-Scope-OrgID", "mine")
        .bearer_auth("own");
    let proxy = proxy
        .forward_header("Traceparent")
        .forward_header("cookie")
        .build()
        .unwrap();
    assert_eq!(send_and_read(&proxy, browser_request()).await.status, 200);
    let headers = upstream.only_request().headers;
    let mut names: Vec<_> = headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "authorization",
            "cookie",
            "host",
            "traceparent",
            "x-scope-orgid"
        ]
    );
    assert_eq!(headers["x-scope-orgid"], "mine");
    assert_eq!(headers["authorization"], "Bearer own");
    assert_eq!(headers.get_all("x-scope-orgid").iter().count(), 1);
}
