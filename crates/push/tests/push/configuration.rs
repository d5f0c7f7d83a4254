//! Invalid settings are errors, and pushes can be spawned as tasks.

use test_support::urls::{INVALID_URLS, VALID_URLS};
use tower_prometheus::Registry;
use tower_prometheus_push::{Error, PushError, PushGateway};

use crate::registry;

#[test]
fn invalid_configuration_is_an_error() {
    for (url, job, reason) in [
        ("localhost:9091", "nightly", "must start with http://"),
        ("http://a b", "nightly", "cannot be parsed"),
        ("ftp://gateway", "nightly", "must start with http://"),
        ("http://gateway?x=1", "nightly", "query"),
        ("http://gateway#x", "nightly", "fragment"),
        ("http://:9091", "nightly", "has no host"),
        ("http://user@", "nightly", "cannot be parsed"),
        ("http://gateway:99999", "nightly", "port"),
        ("http://gateway", "", "job: must not be empty"),
    ] {
        let error = PushGateway::new(url, job).unwrap_err().to_string();
        assert!(error.contains(reason), "{url}: {error}");
    }
    for label in ["job", "a-b", "1a", "__name__", "le", "quantile", ""] {
        let error = gateway().group(label, "x").unwrap_err().to_string();
        assert!(error.contains(&format!("{label:?}")), "{error}");
    }
    let twice = gateway().group("disk", "sda").unwrap().group("disk", "sdb");
    assert!(twice.unwrap_err().to_string().contains("set twice"));
    let long = gateway().group("disk", &"x".repeat(100_000)).unwrap_err();
    assert!(long.to_string().contains("shorter than 64 KiB"), "{long}");
}

/// The same URLs as of the query proxy.
#[test]
fn urls_are_read_as_by_the_query_proxy() {
    for (url, base) in VALID_URLS {
        let gateway = PushGateway::new(url, "nightly").unwrap();
        let shown = format!("{gateway:?}");
        assert!(shown.contains(&format!("address: {base},")), "{shown}");
    }
    for url in INVALID_URLS {
        let error = PushGateway::new(url, "nightly").unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("Pushgateway URL: "), "{url:?}: {shown}");
        assert!(!shown.contains("s3cret"), "{url:?}: {shown}");
    }
}

#[test]
fn invalid_credentials_are_an_error() {
    for result in [
        gateway().basic_auth("a:b", "x"),
        gateway().basic_auth("ada", "x\n"),
        gateway().basic_auth("a\u{7f}", "x"),
        gateway().bearer_token(""),
        gateway().bearer_token("x\n"),
        gateway().basic_auth("ada", "x").unwrap().bearer_token("y"),
        PushGateway::new("http://ada:x@gateway", "nightly")
            .unwrap()
            .basic_auth("ada", "y"),
        PushGateway::new("http://ada:%0A@gateway", "nightly"),
        PushGateway::new("http://ada:%FF@gateway", "nightly"),
    ] {
        result.unwrap_err();
    }
}

fn gateway() -> PushGateway {
    PushGateway::new("http://gateway", "nightly").unwrap()
}

/// Compiles only if a push can be spawned as a task, for every kind of source.
#[test]
fn futures_and_types_are_send() {
    fn check<T: Send>(_: T) {}
    fn check_type<T: Send + Sync + 'static>() {}
    let (gateway, registry): (_, Registry) = (gateway(), registry());
    check(gateway.push(&registry));
    check(gateway.push(&registry.handler()));
    check(gateway.push_add(registry.handler()));
    check(gateway.delete());
    check_type::<PushGateway>();
    check_type::<Error>();
    check_type::<PushError>();
}
