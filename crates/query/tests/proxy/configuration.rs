//! What cannot work is said at start-up.

use std::time::Duration;

use tower_prometheus::query::{QueryProxy, QueryProxyBuilder};

#[track_caller]
fn assert_refused(builder: QueryProxyBuilder, why: &str) {
    let error = builder.build().unwrap_err().to_string();
    assert!(error.contains(why), "{error}");
}

fn good() -> QueryProxyBuilder {
    QueryProxy::builder("http://victoriametrics:8428")
}

#[test]
fn urls() {
    for url in [
        "http://victoriametrics:8428",
        "http://victoriametrics:8428/",
        "http://[::1]:8428/select/0/prometheus",
        " http://host ",
        "https://host/a/b/",
    ] {
        assert!(QueryProxy::builder(url).build().is_ok(), "{url}");
    }
    for (url, why) in [
        ("", "URL"),
        ("victoriametrics:8428", "URL"),
        ("/path", "scheme"),
        ("ftp://host", "scheme"),
        ("http://", "URL"),
        ("http://host?query=1", "a query"),
        ("http://host/#x", "fragment"),
        ("http://host/a/../b", ".."),
        ("http://host/a/%2E%2e/b", ".."),
        ("http://host:99999", "port"),
        ("http://host:", "port"),
    ] {
        assert_refused(QueryProxy::builder(url), why);
    }
}

#[test]
fn headers() {
    for name in [
        "Host",
        "connection",
        "Transfer-Encoding",
        "content-length",
        "te",
        "upgrade",
        "a b",
        "",
    ] {
        assert!(good().pass_header(name).build().is_err(), "{name}");
        assert!(good().header(name, "x").build().is_err(), "{name}");
    }
    assert_refused(good().header("a", "1").header("A", "2"), "twice");
    assert_refused(
        good()
            .header("x-scope-orgid", "1")
            .pass_header("X-Scope-OrgID"),
        "both",
    );
    assert_refused(good().bearer("x").pass_header("authorization"), "both");
    assert_refused(good().bearer("x").header("authorization", "y"), "twice");
    assert_refused(good().bearer(""), "empty");
    assert!(good().pass_header("authorization").build().is_ok());
}

#[test]
fn labels() {
    for name in ["", "1a", "a-b", "a b", "ä", "__name__", "a\"}", "a:b"] {
        assert_refused(good().force_label(name, "x"), "cannot be forced");
    }
    assert_refused(good().force_label("tenant", ""), "empty");
    assert_refused(
        good().force_label("tenant", "a").force_label("tenant", "b"),
        "twice",
    );
    assert!(
        good()
            .force_label("tenant", "a\"} or {x=\"")
            .build()
            .is_ok()
    );
    assert_refused(good().services_of("up} or {", "job"), "services");
    assert_refused(good().services_of("up", "job) or (x"), "services");
    assert!(good().services_of("job:up:sum", "job").build().is_ok());
}

#[test]
fn limits() {
    assert_refused(good().max_window(Duration::ZERO), "max_window");
    assert_refused(good().max_points(0), "max_points");
    assert_refused(good().max_query_bytes(0), "max_query_bytes");
    assert_refused(good().max_response_bytes(0), "max_response_bytes");
    assert_refused(good().max_concurrent(0), "max_concurrent");
    assert_refused(good().max_concurrent(usize::MAX), "max_concurrent");
    assert_refused(good().query_timeout(Duration::ZERO), "query_timeout");
    assert_refused(good().services_timeout(Duration::ZERO), "services_timeout");
    assert_refused(good().health_timeout(Duration::ZERO), "health_timeout");
}

#[test]
fn paths() {
    for path in ["", "healthy", "/../x", "/a b"] {
        assert_refused(good().health_path(path), "health path");
    }
    assert_refused(good().mounted_at("api"), "mounted");
    assert!(good().mounted_at("/api/metrics/").build().is_ok());
}

/// The variable is this test's own: no other test of this binary reads it.
#[test]
fn from_the_environment() {
    let child = |url: Option<&str>| {
        let mut test = std::process::Command::new(std::env::current_exe().unwrap());
        test.args([
            "--exact",
            "configuration::shows_what_the_environment_says",
            "--nocapture",
            "--ignored",
        ]);
        match url {
            Some(url) => test.env("VICTORIAMETRICS_URL", url),
            None => test.env_remove("VICTORIAMETRICS_URL"),
        };
        String::from_utf8(test.output().unwrap().stdout).unwrap()
    };
    for unset in [None, Some("")] {
        let shown = child(unset);
        assert!(shown.contains("http://victoriametrics:8428"), "{shown}");
    }
    let shown = child(Some("http://ada:secret@prometheus:9090/base"));
    assert!(shown.contains("http://prometheus:9090/base"), "{shown}");
    assert!(!shown.contains("secret"), "{shown}");
    let shown = child(Some("nonsense"));
    assert!(shown.contains("URL cannot be used"), "{shown}");
}

#[test]
#[ignore = "run by `from_the_environment`, which sets the variable"]
fn shows_what_the_environment_says() {
    println!("{:?}", QueryProxy::from_env().build());
}
