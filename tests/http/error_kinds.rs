//! Kinds of errors: the label, registered kinds, OpenTelemetry's `error_type`, and what `ErrorKind::of` recognizes
//! without the libraries. With them: `tests/integration/tests/http/error_kinds.rs`.

use std::error::Error;
use std::fmt;
use std::future::ready;
use std::io;

use http::{Request, Response};
use tower::{Layer, ServiceExt, service_fn};
use tower_prometheus::http::{ErrorKind, HttpMetric, Naming};
use tower_prometheus::model::LabelValues;
use tower_prometheus::{HttpMetrics, Registry};

const BANK: ErrorKind = ErrorKind::new("bank");

/// Sends a request to a service that fails with `kind`.
async fn fail(metrics: HttpMetrics, kind: ErrorKind) -> Registry {
    let registry = Registry::new();
    let layer = metrics
        .with_error_kind(|kind: &ErrorKind| *kind)
        .build(&registry)
        .unwrap();
    let service = service_fn(move |_: Request<()>| ready(Err::<Response<String>, _>(kind)));
    let result = layer.layer(service).oneshot(Request::new(())).await;
    assert_eq!(result.err(), Some(kind));
    registry
}

fn failed_with(registry: &Registry, kind: &str) -> Option<f64> {
    let labels = [("status", "error"), ("error_kind", kind)];
    registry.sum("http_requests_total", &labels)
}

#[tokio::test]
async fn errors_are_told_apart_by_kind() {
    for kind in [ErrorKind::TIMEOUT, ErrorKind::SHED, ErrorKind::OTHER] {
        let registry = fail(HttpMetrics::server(), kind).await;
        assert_eq!(failed_with(&registry, kind.as_str()), Some(1.0));
    }
}

#[tokio::test]
async fn kind_must_be_registered() {
    let registry = fail(HttpMetrics::server().error_kinds([BANK]), BANK).await;
    assert_eq!(failed_with(&registry, "bank"), Some(1.0));
    let registry = fail(HttpMetrics::server(), BANK).await;
    assert_eq!(failed_with(&registry, "other"), Some(1.0));
    let error = HttpMetrics::server()
        .error_kinds([BANK])
        .build(Registry::new());
    assert!(error.unwrap_err().to_string().starts_with("error_kinds: "));
}

#[tokio::test]
async fn responses_have_no_kind() {
    let registry = Registry::new();
    let layer = HttpMetrics::server()
        .with_error_kind(|(): &()| ErrorKind::OTHER)
        .build(&registry)
        .unwrap();
    let service = layer.layer(service_fn(test_support::service::ok));
    drop(service.oneshot(Request::new(())).await);
    let labels = [("status", "200"), ("error_kind", "")];
    assert_eq!(registry.sum("http_requests_total", &labels), Some(1.0));
}

#[tokio::test]
async fn label_of_kinds_can_be_renamed_and_is_on_durations_with_the_status() {
    let metrics = HttpMetrics::server()
        .naming(Naming::classic().error_kind_label("cause"))
        .status_on_durations();
    let registry = fail(metrics, ErrorKind::DNS).await;
    let durations = registry.sum("http_request_duration_seconds_count", &[("cause", "dns")]);
    assert_eq!(durations, Some(1.0));
}

#[tokio::test]
async fn open_telemetry_has_the_kind_as_its_error_type() {
    for (metrics, name) in [
        (
            HttpMetrics::open_telemetry(),
            "http_server_request_duration_seconds_count",
        ),
        (
            HttpMetrics::open_telemetry_client(),
            "http_client_request_duration_seconds_count",
        ),
    ] {
        let registry = fail(metrics, ErrorKind::CONNECT).await;
        let labels = [("error_type", "connect"), ("http_response_status_code", "")];
        assert_eq!(registry.sum(name, &labels), Some(1.0));
    }
}

#[test]
fn definition_lists_the_kinds() {
    let metrics = HttpMetrics::server()
        .error_kinds([BANK])
        .with_error_kind(|(): &()| BANK);
    let requests = metrics
        .as_ref()
        .family(HttpMetric::Requests)
        .unwrap()
        .unwrap();
    let label = requests
        .labels
        .iter()
        .find(|label| label.name == "error_kind");
    let LabelValues::Closed(values) = &label.unwrap().values else {
        panic!("the kinds are a closed set");
    };
    for kind in ["bank", "timeout", "other", ""] {
        assert!(values.iter().any(|value| value == kind), "{kind}");
    }
}

#[derive(Debug)]
struct Nested(&'static str, Option<Box<dyn Error + Send + Sync>>);

impl fmt::Display for Nested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Nested {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_deref().map(|error| error as _)
    }
}

#[test]
fn most_specific_error_of_the_chain_decides() {
    let chain = |texts: &[&'static str]| {
        let wrap = |inner, text: &&'static str| {
            Some(Box::new(Nested(text, inner)) as Box<dyn Error + Send + Sync>)
        };
        texts.iter().rev().fold(None, wrap).unwrap()
    };
    let kind = |texts: &[&'static str]| ErrorKind::of(&*chain(texts));
    assert_eq!(
        kind(&["client error (Connect)", "dns error"]),
        ErrorKind::DNS
    );
    assert_eq!(
        kind(&["client error (Connect)", "tcp connect error"]),
        ErrorKind::CONNECT
    );
    assert_eq!(
        kind(&["tcp connect error", "deadline has elapsed"]),
        ErrorKind::TIMEOUT
    );
    assert_eq!(kind(&["no such user"]), ErrorKind::OTHER);
}

#[test]
fn error_within_an_io_error_is_recognized() {
    let overloaded = io::Error::other(Nested("service overloaded", None));
    assert_eq!(ErrorKind::of(&overloaded), ErrorKind::SHED);
    let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
    assert_eq!(ErrorKind::of(&refused), ErrorKind::CONNECT);
    let late = io::Error::from(io::ErrorKind::TimedOut);
    assert_eq!(ErrorKind::of(&late), ErrorKind::TIMEOUT);
}

#[derive(Debug)]
struct Endless;

impl fmt::Display for Endless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Longer than what is read of a text, and cut within a character.
        f.write_str(&"ä".repeat(1000))
    }
}

impl Error for Endless {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self)
    }
}

#[test]
fn error_that_is_its_own_source_has_a_kind() {
    assert_eq!(ErrorKind::of(&Endless), ErrorKind::OTHER);
}
