//! Negotiation of the format and the compression of the metrics page by `Accept` and `Accept-Encoding`.

use test_support::negotiation::{
    OPEN_METRICS_0, OPEN_METRICS_1, PROTOBUF, TEXT, headers, negotiate,
};

#[track_caller]
fn assert_accept(values: &[&str], expected: &str) {
    let response = negotiate(headers("accept", values));
    assert_eq!(response["content-type"], expected, "{values:?}");
}

#[test]
fn scrapers_get_the_format_that_they_prefer() {
    // The headers of Prometheus 2.42, 3.5, 3.5 with native histograms, and VictoriaMetrics.
    let prometheus_2 = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    let native = format!(
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,{prometheus_3}"
    );
    assert_accept(&[prometheus_2], OPEN_METRICS_1);
    let with_scheme = |content_type| format!("{content_type}; escaping=allow-utf-8");
    assert_accept(&[prometheus_3], &with_scheme(OPEN_METRICS_1));
    assert_accept(&[&native], PROTOBUF);
    assert_accept(&["text/plain;version=0.0.4;q=1,*/*;q=0.1"], TEXT);
}

#[test]
fn supported_format_with_the_highest_quality_is_sent() {
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
        // With equal quality: a format that is named before one that only a wildcard matches, then the first, then text.
        ("*/*, application/openmetrics-text", OPEN_METRICS_1),
        ("application/openmetrics-text, text/plain", OPEN_METRICS_1),
        ("text/plain, application/openmetrics-text", TEXT),
        ("*/*", TEXT),
        // The most specific range sets the quality of a format.
        (
            "application/openmetrics-text;version=1.0.0;q=0.1, application/openmetrics-text;q=0.9, text/plain;q=0.5",
            OPEN_METRICS_0,
        ),
        // A range with an invalid quality is ignored.
        ("application/openmetrics-text;q=2", TEXT),
        ("application/openmetrics-text;q=nan", TEXT),
        // Without a supported format: text.
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
fn formats_from_version_1_name_the_escaping_scheme_that_the_scraper_names() {
    const TEXT_1: &str = "text/plain; version=1.0.0; charset=utf-8";
    for (accept, expected) in [
        (
            "text/plain;version=1.0.0;escaping=allow-utf-8",
            format!("{TEXT_1}; escaping=allow-utf-8"),
        ),
        (
            "text/plain;version=1.0.0;escaping=dots",
            format!("{TEXT_1}; escaping=dots"),
        ),
        (
            "text/plain;version=1.0.0;escaping=\"values\"",
            format!("{TEXT_1}; escaping=values"),
        ),
        // Without a scheme, and with an unknown one, names are escaped by underscores.
        (
            "text/plain;version=1.0.0",
            format!("{TEXT_1}; escaping=underscores"),
        ),
        (
            "text/plain;version=1.0.0;escaping=rot13",
            format!("{TEXT_1}; escaping=underscores"),
        ),
        (
            "application/openmetrics-text;version=1.0.0;escaping=underscores",
            format!("{OPEN_METRICS_1}; escaping=underscores"),
        ),
        (
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;escaping=values",
            format!("{PROTOBUF}; escaping=values"),
        ),
        // Versions below 1.0.0 know no schemes.
        (
            "text/plain;version=0.0.4;escaping=allow-utf-8",
            TEXT.to_owned(),
        ),
        (
            "application/openmetrics-text;version=0.0.1;escaping=allow-utf-8",
            OPEN_METRICS_0.to_owned(),
        ),
        // With equal quality, the first is sent.
        (
            "text/plain;version=1.0.0;escaping=allow-utf-8,text/plain;version=0.0.4",
            format!("{TEXT_1}; escaping=allow-utf-8"),
        ),
    ] {
        assert_accept(&[accept], &expected);
    }
}

#[test]
fn gzip_is_sent_if_it_is_accepted_and_at_least_as_good_as_identity() {
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
        let response = negotiate(headers("accept-encoding", &[accept]));
        assert_eq!(
            response.contains_key("content-encoding"),
            expected,
            "{accept}"
        );
    }
    let response = negotiate(headers("accept-encoding", &["br", "gzip"]));
    assert!(response.contains_key("content-encoding"));
}
