//! Names of macros that need UTF-8: each scraper gets them in the escaping scheme that it asks for.

use test_support::page::{
    assert_valid_open_metrics, assert_valid_text, render_for, render_open_metrics,
};
use tower_prometheus::{Registry, Unit};

const SCHEMES: [&str; 4] = ["allow-utf-8", "underscores", "dots", "values"];

/// The page in the text format 1.0.0 with an escaping scheme.
fn text(registry: &Registry, scheme: &str) -> String {
    render_for(
        registry,
        &format!("text/plain;version=1.0.0;escaping={scheme}"),
    )
}

fn open_metrics(registry: &Registry, scheme: &str) -> String {
    render_for(
        registry,
        &format!("application/openmetrics-text;version=1.0.0;escaping={scheme}"),
    )
}

fn with_utf8_names() -> Registry {
    Registry::builder().utf8_names().build().unwrap()
}

#[test]
fn scraper_that_accepts_utf8_gets_names_in_quotes() {
    let registry = with_utf8_names();
    metrics::with_local_recorder(&registry, || {
        metrics::describe_counter!("http.requests", "Requests.");
        metrics::counter!("http.requests", "http.method" => "GET", "zone" => "a\\b").increment(3);
        metrics::counter!("http.requests").increment(1);
        metrics::gauge!("größe \"m\"").set(2.5);
        metrics::counter!("plain_total", "url.path" => "/").increment(4);
        metrics::histogram!("wait.seconds", "queue.name" => "a").record(0.2);
    });
    let buckets: String = [
        "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf",
    ]
    .iter()
    .map(|le| {
        let count = usize::from(
            *le != "0.005" && *le != "0.01" && *le != "0.025" && *le != "0.05" && *le != "0.1",
        );
        format!("{{\"wait.seconds_bucket\",\"queue.name\"=\"a\",le=\"{le}\"}} {count}\n")
    })
    .collect();
    let expected = format!(
        r#"# TYPE "größe \"m\"" gauge
{{"größe \"m\""}} 2.5
# HELP "http.requests" Requests.
# TYPE "http.requests" counter
{{"http.requests"}} 1
{{"http.requests","http.method"="GET",zone="a\\b"}} 3
# TYPE plain_total counter
plain_total{{"url.path"="/"}} 4
# TYPE "wait.seconds" histogram
{buckets}{{"wait.seconds_sum","queue.name"="a"}} 0.2
{{"wait.seconds_count","queue.name"="a"}} 1
"#
    );
    assert_eq!(text(&registry, "allow-utf-8"), expected);
}

#[test]
fn open_metrics_has_quoted_families_without_the_suffix_of_counters() {
    let registry = with_utf8_names();
    metrics::with_local_recorder(&registry, || {
        metrics::counter!("http.requests_total").increment(3);
        metrics::describe_gauge!("queue.wait_seconds", Unit::Seconds, "Wait.");
        metrics::gauge!("queue.wait_seconds").set(1.0);
        // `x` is taken, so the family of the counter keeps its suffix.
        metrics::counter!("a.b_total").increment(1);
        metrics::gauge!("a.b").set(1.0);
    });
    let expected = r#"# TYPE "a.b" gauge
{"a.b"} 1.0
# TYPE "a.b_total" unknown
{"a.b_total"} 1
# TYPE "http.requests" counter
{"http.requests_total"} 3
# HELP "queue.wait_seconds" Wait.
# TYPE "queue.wait_seconds" gauge
# UNIT "queue.wait_seconds" seconds
{"queue.wait_seconds"} 1.0
# EOF
"#;
    assert_eq!(open_metrics(&registry, "allow-utf-8"), expected);
}

#[test]
fn names_are_escaped_by_the_scheme_of_the_scraper() {
    let registry = with_utf8_names();
    metrics::with_local_recorder(&registry, || {
        metrics::gauge!("metric.name_x/slash", "label.name_y" => "v.w").set(1.0);
    });
    for (scheme, expected) in [
        ("underscores", "metric_name_x_slash{label_name_y=\"v.w\"}"),
        (
            "dots",
            "metric_dot_name__x_slash{label_dot_name__y=\"v.w\"}",
        ),
        (
            "values",
            "U__metric_2e_name__x_2f_slash{U__label_2e_name__y=\"v.w\"}",
        ),
    ] {
        let page = text(&registry, scheme);
        assert_valid_text(&page);
        assert_eq!(
            page.lines().last().unwrap(),
            format!("{expected} 1"),
            "{scheme}"
        );
    }
}

#[test]
fn names_that_are_valid_without_utf8_are_the_same_in_all_schemes() {
    let registry = with_utf8_names();
    let unset = Registry::new();
    for registry in [&registry, &unset] {
        metrics::with_local_recorder(registry, || {
            metrics::counter!("http_requests_total", "path" => "a.b").increment(1);
            metrics::histogram!("wait_seconds", "a_b" => "1").record(1.0);
        });
        for scheme in SCHEMES {
            assert_eq!(text(registry, scheme), registry.render(), "{scheme}");
            assert_eq!(
                open_metrics(registry, scheme),
                render_open_metrics(registry),
                "{scheme}"
            );
        }
    }
}

#[test]
fn without_the_setting_every_scraper_gets_valid_names() {
    let registry = Registry::new();
    metrics::with_local_recorder(&registry, || {
        metrics::counter!("http.requests", "http.method" => "GET").increment(1);
    });
    for scheme in SCHEMES {
        assert_eq!(
            text(&registry, scheme),
            "# TYPE http_requests counter\nhttp_requests{http_method=\"GET\"} 1\n",
            "{scheme}"
        );
    }
}

/// Names that become equal in a scheme, and names that have the form of escaped ones.
#[test]
fn different_metrics_have_different_names_in_each_scheme() {
    let registry = with_utf8_names();
    metrics::with_local_recorder(&registry, || {
        metrics::counter!("a.b").increment(1);
        metrics::gauge!("a.b").set(2.0);
        metrics::counter!("a-b").increment(3);
        metrics::counter!("a+b").increment(4);
        metrics::counter!("a_dot_b").increment(5);
        metrics::counter!("U__a_2e_b").increment(6);
        metrics::counter!("m.n-o").increment(10);
        metrics::counter!("m.n+o").increment(11);
        metrics::histogram!("c.d").record(7.0);
        metrics::counter!("c.d_count").increment(8);
        metrics::counter!("e", "x.y" => "1", "x_y" => "1", "x_dot_y" => "1").increment(9);
    });
    for scheme in SCHEMES {
        let page = text(&registry, scheme);
        if scheme != "allow-utf-8" {
            assert_valid_text(&page);
        }
        let families: Vec<_> = page
            .lines()
            .filter(|line| line.starts_with("# TYPE"))
            .collect();
        let mut distinct = families.clone();
        distinct.dedup_by_key(|line| line.split(' ').nth(2).unwrap().to_owned());
        assert_eq!(families.len(), 11, "{page}");
        assert_eq!(distinct.len(), 11, "{page}");
        let values = page
            .lines()
            .filter(|line| !line.starts_with('#') && !line.contains("_bucket"));
        let names: std::collections::BTreeSet<_> = values
            .map(|line| line.rsplit_once(' ').unwrap().0)
            .collect();
        assert_eq!(names.len(), 12, "{page}");
    }
}

#[test]
fn labels_renamed_for_another_reason_keep_their_exported_name() {
    let registry = Registry::builder()
        .utf8_names()
        .constant_label("zone", "eu")
        .build()
        .unwrap();
    metrics::with_local_recorder(&registry, || {
        metrics::counter!("c", "zone" => "x", "a.b" => "1").increment(1);
    });
    assert_eq!(
        text(&registry, "allow-utf-8"),
        "# TYPE c counter\nc{U__zone=\"x\",\"a.b\"=\"1\",zone=\"eu\"} 1\n"
    );
}

#[test]
fn created_lines_are_beside_the_samples_of_their_series() {
    let registry = Registry::builder()
        .created_lines()
        .utf8_names()
        .build()
        .unwrap();
    let before = std::time::SystemTime::now();
    metrics::with_local_recorder(&registry, || {
        metrics::counter!("a_total", "i" => "1").increment(1);
        metrics::counter!("a_total").increment(1);
        metrics::counter!("a.b_total", "i" => "1").increment(1);
        metrics::counter!("b").increment(1);
        metrics::gauge!("c").set(1.0);
        metrics::histogram!("d", "i" => "1").record(1.0);
    });
    let names = |page: &str| -> Vec<String> {
        let samples = page
            .lines()
            .filter(|line| !line.starts_with('#') && !line.contains("_bucket"));
        samples
            .map(|line| line.rsplit_once(' ').unwrap().0.to_owned())
            .collect()
    };
    let page = render_open_metrics(&registry);
    assert_valid_open_metrics(&page);
    assert_eq!(
        names(&page),
        [
            "a_b_total{i=\"1\"}",
            "a_b_created{i=\"1\"}",
            "a_total",
            "a_created",
            "a_total{i=\"1\"}",
            "a_created{i=\"1\"}",
            "b",
            "c",
            "d_sum{i=\"1\"}",
            "d_count{i=\"1\"}",
            "d_created{i=\"1\"}",
        ]
    );
    let created = page
        .lines()
        .find_map(|line| line.strip_prefix("a_created "))
        .unwrap();
    let since = |time: std::time::SystemTime| {
        time.duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs_f64()
    };
    let range = since(before) - 0.001..=since(std::time::SystemTime::now());
    assert!(range.contains(&created.parse().unwrap()), "{created}");
    let utf8 = open_metrics(&registry, "allow-utf-8");
    assert_eq!(
        names(&utf8)[..2],
        ["{\"a.b_total\",i=\"1\"}", "{\"a.b_created\",i=\"1\"}"]
    );
    // The text format and registries without the setting have none.
    assert!(!registry.render().contains("_created"));
    assert!(!text(&registry, "allow-utf-8").contains("_created"));
}

#[test]
fn created_lines_never_have_the_name_of_another_metric() {
    let registry = Registry::builder().created_lines().build().unwrap();
    metrics::with_local_recorder(&registry, || {
        metrics::counter!("a_total").increment(1);
        metrics::gauge!("a_created").set(1.0);
        metrics::histogram!("h").record(1.0);
        metrics::gauge!("h_created").set(1.0);
    });
    let page = render_open_metrics(&registry);
    assert_valid_open_metrics(&page);
    assert!(
        page.contains("\na_created 1.0\n") && page.contains("\nU__h__created 1.0\n"),
        "{page}"
    );
}
