//! Which page a scraper gets: by what the real ones send, by the rules, and by whatever anyone sends.

use http::{HeaderMap, HeaderValue, Request};
use tower::ServiceExt;
use tower_prometheus::Registry;

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const ONE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const ZERO: &str = "application/openmetrics-text; version=0.0.1; charset=utf-8";

fn answer(headers: HeaderMap) -> HeaderMap {
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || {
        for i in 0..30 {
            metrics::counter!("rows_total", "i" => i.to_string()).increment(1);
        }
    });
    let mut request = Request::new(());
    *request.headers_mut() = headers;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let response = runtime
        .block_on(registry.handler().oneshot(request))
        .unwrap();
    assert_eq!(response.status(), 200);
    response.headers().clone()
}

fn with(name: &'static str, values: &[&str]) -> HeaderMap {
    let values = values
        .iter()
        .map(|value| HeaderValue::from_str(value).unwrap());
    values
        .map(|value| (http::HeaderName::from_static(name), value))
        .collect()
}

#[track_caller]
fn assert_accept(values: &[&str], expected: &str) {
    let answer = answer(with("accept", values));
    assert_eq!(answer["content-type"], expected, "{values:?}");
}

#[test]
fn real_scrapers_get_what_they_prefer() {
    // Prometheus 2.42, 3.5, 3.5 with native histograms, VictoriaMetrics.
    let prometheus_2 = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    let native = format!(
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,{prometheus_3}"
    );
    assert_accept(&[prometheus_2], ONE);
    assert_accept(&[prometheus_3], ONE);
    assert_accept(&[&native], ONE);
    assert_accept(&["text/plain;version=0.0.4;q=1,*/*;q=0.1"], TEXT);
}

#[test]
fn the_highest_quality_that_can_be_had_wins() {
    for (accept, expected) in [
        ("application/openmetrics-text", ONE),
        ("application/openmetrics-text; version=1.0.0", ONE),
        ("application/openmetrics-text; version=0.0.1", ZERO),
        ("application/openmetrics-text; version=\"0.0.1\"", ZERO),
        ("Application/OpenMetrics-Text; Version=0.0.1", ZERO),
        ("application/openmetrics-text; version=2.0.0", TEXT),
        ("application/openmetrics-text;q=0.4, text/plain;q=0.5", TEXT),
        ("application/openmetrics-text;q=0.5, text/plain;q=0.4", ONE),
        ("application/openmetrics-text;q=0, */*", TEXT),
        ("text/plain;q=0, */*", ONE),
        (
            "text/plain;q=0, application/openmetrics-text;version=1.0.0;q=0, */*",
            ZERO,
        ),
        ("application/*", ONE),
        ("text/*, application/openmetrics-text;q=0.9", TEXT),
        // Equal: what is named before what is not, then what is named first, then text.
        ("*/*, application/openmetrics-text", ONE),
        ("application/openmetrics-text, text/plain", ONE),
        ("text/plain, application/openmetrics-text", TEXT),
        ("*/*", TEXT),
        // The closest range decides about a format.
        (
            "application/openmetrics-text;version=1.0.0;q=0.1, application/openmetrics-text;q=0.9, text/plain;q=0.5",
            ZERO,
        ),
        // Not a quality: the range does not count.
        ("application/openmetrics-text;q=2", TEXT),
        ("application/openmetrics-text;q=nan", TEXT),
        // Nothing that can be had: a page all the same.
        ("", TEXT),
        (
            "text/html,application/xhtml+xml,application/xml;q=0.9",
            TEXT,
        ),
        ("text/plain;q=0", TEXT),
        (";;,,/;q", TEXT),
    ] {
        assert_accept(&[accept], expected);
    }
    assert_accept(&[], TEXT);
    assert_accept(&["text/plain;q=0.5", "application/openmetrics-text"], ONE);
}

#[test]
fn gzip_for_who_takes_it() {
    for (accept, expected) in [
        ("gzip", true),
        ("GZIP", true),
        ("x-gzip", true),
        ("deflate, gzip;q=1.0, *;q=0.5", true),
        ("*", true),
        ("gzip;q=0.5, identity;q=0.5", true),
        ("identity;q=0, gzip;q=0.1", true),
        ("gzip;q=0", false),
        ("gzip;q=0, *", false),
        ("gzip;q=0.2, identity;q=0.5", false),
        ("identity", false),
        ("br, zstd", false),
        ("", false),
        ("gzip;q=x", false),
    ] {
        let answer = answer(with("accept-encoding", &[accept]));
        assert_eq!(
            answer.contains_key("content-encoding"),
            expected,
            "{accept}"
        );
    }
    let answer = answer(with("accept-encoding", &["br", "gzip"]));
    assert!(answer.contains_key("content-encoding"));
}
