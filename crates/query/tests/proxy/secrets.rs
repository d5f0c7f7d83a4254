//! Credentials reach the store and nobody else; what clients send reaches nobody.

use http::Request;
use tower_prometheus::query::QueryProxy;

use crate::store::{GOOD, Store, ask, get};
use test_support::warnings::Warnings;

const SECRET: &str = "hunter2-s3cret";
/// `ada:hunter2-s3cret` in base64.
const BASIC: &str = "Basic YWRhOmh1bnRlcjItczNjcmV0";

#[tokio::test]
async fn the_store_gets_the_credentials() {
    let store = Store::saying("[]").await;
    let address = store.server.address;
    for (proxy, value) in [
        (store.proxy().bearer(SECRET), format!("Bearer {SECRET}")),
        (store.proxy().basic("ada", SECRET), BASIC.to_owned()),
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
        for target in [GOOD, "/services", "/health"] {
            get(&proxy, target).await;
            let asked = store.asked().pop().unwrap();
            assert_eq!(asked.headers["authorization"], value);
            assert_eq!(asked.headers["host"], address.to_string());
        }
    }
}

/// Whatever goes wrong, on every way out of the proxy.
#[tokio::test]
async fn nobody_else_does() {
    let warnings = Warnings::catch();
    let nowhere = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let with_secret = |url: &str| {
        QueryProxy::builder(url)
            .header("X-Scope-OrgID", SECRET)
            .fallback_services(["x"])
    };
    for proxy in [
        with_secret(&format!("http://ada:{SECRET}@{nowhere}")),
        with_secret(&format!("http://{nowhere}")).basic("ada", SECRET),
        with_secret(&format!("http://{nowhere}")).bearer(SECRET),
        with_secret(&format!("http://ada:{SECRET}@name.invalid")),
    ] {
        let shown = format!("{proxy:?} {proxy:#?}");
        let proxy = proxy.build().unwrap();
        let shown = format!("{shown} {proxy:?} {proxy:#?}");
        assert_silent(&shown);
        for target in [GOOD, "/services", "/health"] {
            let answer = get(&proxy, target).await;
            assert_silent(&format!("{answer:?}"));
        }
    }
    let logged = warnings.about("");
    assert!(
        logged.iter().any(|line| line.contains("refused")),
        "{logged:?}"
    );
    assert_silent(&logged.join("\n"));
}

#[track_caller]
fn assert_silent(text: &str) {
    for secret in [SECRET, BASIC, "YWRhOmh1bnRlcjItczNjcmV0", "ada:"] {
        assert!(!text.contains(secret), "{text}");
    }
}

/// Errors at start-up go to logs, too.
#[test]
fn nor_does_whoever_reads_why_it_did_not_start() {
    let wrong = [
        format!("ftp://ada:{SECRET}@host"),
        format!("http://ada:{SECRET}@"),
        format!("http://ada:{SECRET}@host:port"),
        format!("http://ada:{SECRET} @host"),
        format!("http://ada:{SECRET}@host?x"),
        format!("http://ada:{SECRET}@host/../x"),
        format!("http://ada:{SECRET}%ff@host"),
        SECRET.to_owned(),
    ];
    for url in wrong {
        let builder = QueryProxy::builder(&url);
        assert_silent(&format!("{builder:?}"));
        let error = builder.build().unwrap_err();
        assert_silent(&format!("{error} {error:?}"));
    }
    let newline = format!("{SECRET}\n");
    for builder in [
        QueryProxy::builder("http://host").bearer(&newline),
        QueryProxy::builder("http://host").header("x-scope-orgid", &newline),
        QueryProxy::builder("http://host").basic("a:da", SECRET),
        QueryProxy::builder("http://host")
            .basic("ada", SECRET)
            .bearer(SECRET),
        QueryProxy::builder(format!("http://ada:{SECRET}@host")).bearer(SECRET),
    ] {
        assert_silent(&format!("{builder:?}"));
        let error = builder.build().unwrap_err();
        assert_silent(&format!("{error} {error:?}"));
    }
}

fn from_a_browser() -> Request<()> {
    Request::get(GOOD)
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
async fn a_clients_headers_stay_with_the_proxy() {
    let store = Store::saying("ok").await;
    let proxy = store.proxy().build().unwrap();
    assert_eq!(ask(&proxy, from_a_browser()).await.status, 200);
    let asked = store.asked_once();
    let names: Vec<_> = asked.headers.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["host"], "{asked:?}");
    assert_eq!(asked.headers["host"], store.server.address.to_string());
}

#[tokio::test]
async fn but_for_those_that_are_passed_and_the_constant_ones() {
    let store = Store::saying("ok").await;
    let proxy = store.proxy().header("X-Scope-OrgID", "mine").bearer("own");
    let proxy = proxy
        .pass_header("Traceparent")
        .pass_header("cookie")
        .build()
        .unwrap();
    assert_eq!(ask(&proxy, from_a_browser()).await.status, 200);
    let headers = store.asked_once().headers;
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
