//! `build` rejects invalid settings.

use std::error::Error as _;
use std::ffi::OsStr;
use std::time::Duration;

use test_support::urls::{INVALID_URLS, VALID_URLS};
use tower_prometheus_query::{QueryProxy, QueryProxyBuilder};

#[track_caller]
fn assert_rejected(builder: QueryProxyBuilder, expected: &str) {
    let error = builder.build().unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

fn builder() -> QueryProxyBuilder {
    QueryProxy::builder("http://victoriametrics:8428")
}

#[test]
fn invalid_urls_are_rejected() {
    for url in [
        "http://victoriametrics:8428",
        "http://victoriametrics:8428/",
        "http://[::1]:8428/select/0/prometheus",
        " http://host ",
    ] {
        assert!(QueryProxy::builder(url).build().is_ok(), "{url}");
    }
    #[cfg(feature = "tls")]
    assert!(QueryProxy::builder("https://host/a/b/").build().is_ok());
    for (url, expected) in [
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
        assert_rejected(QueryProxy::builder(url), expected);
    }
}

/// The same URLs as of the Pushgateway.
#[test]
fn urls_are_read_as_by_the_push_client() {
    for (url, base) in VALID_URLS {
        let proxy = QueryProxy::builder(url).build().unwrap();
        let shown = format!("{proxy:?}");
        assert!(shown.contains(&format!("base_url: {base},")), "{shown}");
    }
    for url in INVALID_URLS {
        let error = QueryProxy::builder(url).build().unwrap_err();
        assert!(error.is_url(), "{url:?}: {error}");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("s3cret"), "{url:?}: {shown}");
    }
}

#[test]
fn invalid_headers_are_rejected() {
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
        assert!(builder().forward_header(name).build().is_err(), "{name}");
        assert!(builder().header(name, "x").build().is_err(), "{name}");
    }
    assert_rejected(builder().header("a", "1").header("A", "2"), "twice");
    assert_rejected(
        builder()
            .header("x-scope-orgid", "1")
            .forward_header("X-Scope-OrgID"),
        "both",
    );
    assert_rejected(
        builder().bearer_auth("x").forward_header("authorization"),
        "both",
    );
    assert_rejected(
        builder().bearer_auth("x").header("authorization", "y"),
        "twice",
    );
    assert_rejected(builder().bearer_auth(""), "empty");
    assert!(builder().forward_header("authorization").build().is_ok());
}

#[test]
fn invalid_labels_are_rejected() {
    for name in ["", "1a", "a-b", "a b", "ä", "__name__", "a\"}", "a:b"] {
        assert_rejected(builder().force_label(name, "x"), "invalid label name");
    }
    assert_rejected(builder().force_label("tenant", ""), "empty");
    assert_rejected(
        builder()
            .force_label("tenant", "a")
            .force_label("tenant", "b"),
        "twice",
    );
    assert!(
        builder()
            .force_label("tenant", "a\"} or {x=\"")
            .build()
            .is_ok()
    );
    assert_rejected(
        builder().services_of("up} or {", "job"),
        "invalid metric name",
    );
    assert_rejected(
        builder().services_of("up", "job) or (x"),
        "invalid label name",
    );
    assert!(builder().services_of("job:up:sum", "job").build().is_ok());
}

#[test]
fn limits_of_zero_are_rejected() {
    assert_rejected(builder().max_time_range(Duration::ZERO), "max_time_range");
    assert_rejected(builder().max_points(0), "max_points");
    assert_rejected(builder().max_query_bytes(0), "max_query_bytes");
    assert_rejected(builder().max_response_bytes(0), "max_response_bytes");
    assert_rejected(builder().max_concurrent(0), "max_concurrent");
    assert_rejected(builder().max_concurrent(usize::MAX), "must be 1 to");
    assert_rejected(builder().query_timeout(Duration::ZERO), "query_timeout");
    assert_rejected(
        builder().services_timeout(Duration::ZERO),
        "services_timeout",
    );
    assert_rejected(builder().health_timeout(Duration::ZERO), "health_timeout");
}

#[test]
fn invalid_paths_are_rejected() {
    for path in ["", "healthy", "/../x", "/a b"] {
        assert_rejected(builder().health_path(path), "health_path");
    }
    assert_rejected(builder().mounted_at("api"), "mounted_at");
    assert!(builder().mounted_at("/api/metrics/").build().is_ok());
}

#[test]
fn errors_have_predicates_and_sources() {
    let error = |builder: QueryProxyBuilder| builder.build().unwrap_err();
    let url = error(QueryProxy::builder("http://ho st"));
    assert!(url.is_url() && !url.is_tls());
    assert!(url.source().is_some());
    let setting = error(builder().header("x-scope-orgid", "\n"));
    assert!(!setting.is_url() && !setting.is_tls());
    assert!(setting.source().is_some());
    assert!(error(builder().max_points(0)).source().is_none());
}

#[cfg(not(feature = "tls"))]
#[test]
fn https_needs_the_feature_tls() {
    let error = QueryProxy::builder("https://host").build().unwrap_err();
    assert!(error.is_tls() && !error.is_url());
    assert!(error.to_string().contains("feature `tls`"), "{error}");
}

/// Runs child processes, because environment variables are global.
#[test]
fn from_env_reads_the_url() {
    let child = |url: Option<&OsStr>| {
        let name = "configuration::prints_the_proxy_of_from_env";
        let mut test = test_support::child_test::ignored_test(name);
        match url {
            Some(url) => test.env("VICTORIAMETRICS_URL", url),
            None => test.env_remove("VICTORIAMETRICS_URL"),
        };
        String::from_utf8(test.output().unwrap().stdout).unwrap()
    };
    for unset in [None, Some(OsStr::new(""))] {
        let output = child(unset);
        assert!(output.contains("http://victoriametrics:8428"), "{output}");
    }
    let output = child(Some(OsStr::new("http://ada:secret@prometheus:9090/base")));
    assert!(output.contains("http://prometheus:9090/base"), "{output}");
    assert!(!output.contains("secret"), "{output}");
    let output = child(Some(OsStr::new("nonsense")));
    assert!(output.contains("invalid upstream URL"), "{output}");
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let output = child(Some(OsStr::from_bytes(
            b"http://ada:secret\xff@prometheus:9090",
        )));
        assert!(output.contains("is not UTF-8"), "{output}");
        assert!(!output.contains("secret"), "{output}");
    }
}

#[test]
#[ignore = "run by `from_env_reads_the_url` in child processes"]
fn prints_the_proxy_of_from_env() {
    println!("{:?}", QueryProxy::from_env().build());
}
