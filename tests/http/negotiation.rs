//! Which page a scraper gets: by what the real ones send, by the rules, and by whatever anyone sends.

use test_support::negotiation::{OPEN_METRICS_0, OPEN_METRICS_1, TEXT, headers, negotiate};

#[track_caller]
fn assert_accept(values: &[&str], expected: &str) {
    let answer = negotiate(headers("accept", values));
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
    assert_accept(&[prometheus_2], OPEN_METRICS_1);
    assert_accept(&[prometheus_3], OPEN_METRICS_1);
    assert_accept(&[&native], OPEN_METRICS_1);
    assert_accept(&["text/plain;version=0.0.4;q=1,*/*;q=0.1"], TEXT);
}

#[test]
fn the_highest_quality_that_can_be_had_wins() {
    for (accept, expected) in [
        ("application/openmetrics-text", OPEN_METRICS_1),
        (
            "application/openmetrics-text; version=1.0.0",
            OPEN_METRICS_1,
        ),
        (
            "application/openmetrics-text; version=0.0.1",
            OPEN_METRICS_0,
        ),
        (
            "application/openmetrics-text; version=\"0.0.1\"",
            OPEN_METRICS_0,
        ),
        (
            "Application/OpenMetrics-Text; Version=0.0.1",
            OPEN_METRICS_0,
        ),
        ("application/openmetrics-text; version=2.0.0", TEXT),
        ("application/openmetrics-text;q=0.4, text/plain;q=0.5", TEXT),
        (
            "application/openmetrics-text;q=0.5, text/plain;q=0.4",
            OPEN_METRICS_1,
        ),
        ("application/openmetrics-text;q=0, */*", TEXT),
        ("text/plain;q=0, */*", OPEN_METRICS_1),
        (
            "text/plain;q=0, application/openmetrics-text;version=1.0.0;q=0, */*",
            OPEN_METRICS_0,
        ),
        ("application/*", OPEN_METRICS_1),
        ("text/*, application/openmetrics-text;q=0.9", TEXT),
        // Equal: what is named before what is not, then what is named first, then text.
        ("*/*, application/openmetrics-text", OPEN_METRICS_1),
        ("application/openmetrics-text, text/plain", OPEN_METRICS_1),
        ("text/plain, application/openmetrics-text", TEXT),
        ("*/*", TEXT),
        // The closest range decides about a format.
        (
            "application/openmetrics-text;version=1.0.0;q=0.1, application/openmetrics-text;q=0.9, text/plain;q=0.5",
            OPEN_METRICS_0,
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
    assert_accept(
        &["text/plain;q=0.5", "application/openmetrics-text"],
        OPEN_METRICS_1,
    );
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
        let answer = negotiate(headers("accept-encoding", &[accept]));
        assert_eq!(
            answer.contains_key("content-encoding"),
            expected,
            "{accept}"
        );
    }
    let answer = negotiate(headers("accept-encoding", &["br", "gzip"]));
    assert!(answer.contains_key("content-encoding"));
}
