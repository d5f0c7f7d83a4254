//! Credentials are sent only to the upstream, and headers of clients are not forwarded by default.

use http::Request;
use tower_prometheus_query::QueryProxy;

use crate::fake_upstream::{FakeUpstream, VALID_QUERY, get, send_and_read};
use test_support::warnings::Warnings;

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

/// All requests fail: an error message could contain the URL or a header of the upstream request.
#[tokio::test]
async fn credentials_do_not_appear_in_debug_output_responses_or_logs() {
    let warnings = Warnings::capture();
    let unused = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let with_secret = |url: &str| {
        QueryProxy::builder(url)
            .header("X-Scope-OrgID", SECRET)
            .fallback_services(["x"])
    };
    for proxy in [
        with_secret(&format!("http://ada:{SECRET}@{unused}")),
        with_secret(&format!("http://{unused}")).basic_auth("ada", SECRET),
        with_secret(&format!("http://{unused}")).bearer_auth(SECRET),
        with_secret(&format!("http://ada:{SECRET}@name.invalid")),
    ] {
        let output = format!("{proxy:?} {proxy:#?}");
        let proxy = proxy.build().unwrap();
        let output = format!("{output} {proxy:?} {proxy:#?}");
        assert_no_secret(&output);
        for target in [VALID_QUERY, "/services", "/health"] {
            let response = get(&proxy, target).await;
            assert_no_secret(&format!("{response:?}"));
        }
    }
    let logged = warnings.about("");
    assert!(
        logged.iter().any(|line| line.contains("refused")),
        "{logged:?}"
    );
    assert_no_secret(&logged.join("\n"));
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
    for secret in [SECRET, BASIC, "YWRhOmh1bnRlcjItczNjcmV0", "ada:"] {
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
        QueryProxy::builder("http://host")
            .basic_auth("ada", SECRET)
            .bearer_auth(SECRET),
        QueryProxy::builder(format!("http://ada:{SECRET}@host")).bearer_auth(SECRET),
    ] {
        assert_no_secret(&format!("{builder:?}"));
        let error = builder.build().unwrap_err();
        assert_no_secret(&with_sources(&error));
    }
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
