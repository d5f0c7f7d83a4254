//! `examples/observe`: what its report says of counts is so, with a real Prometheus and without one.

#[path = "support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::net::TcpStream;

use support::process::example;

/// What a run of a few seconds prints.
fn report(prometheus: Option<&str>) -> String {
    let mut observe = example("observe");
    if let Some(program) = prometheus {
        observe.env("PROMETHEUS", program);
    }
    let output = observe.arg("4").output();
    let output = output.expect("it is built with the tests");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The lines of two numbers, by what they are about: the driver's, and what the metrics say.
fn compared(report: &str) -> BTreeMap<&str, (f64, f64)> {
    let pair = |line: &str| {
        let mut words = line.split_whitespace().rev();
        let said = words.next()?.parse().ok()?;
        Some((words.next()?.parse().ok()?, said))
    };
    let lines = report.lines().filter(|line| line.len() > 26);
    let lines = lines.filter_map(|line| {
        let (what, numbers) = line.split_at_checked(26)?;
        Some((what.trim(), pair(numbers)?))
    });
    // Of quantiles only the pair of p99, which nobody here looks at.
    lines.collect()
}

/// Each request that customers made was counted, once, by how it ended.
#[track_caller]
fn assert_agrees(report: &str) {
    let compared = compared(report);
    let (requests, counted) = compared["requests"];
    assert!(requests > 50.0, "{report}");
    assert_eq!(requests, counted, "{report}");
    let (left, aborted) = compared["bodies left half-way"];
    assert_eq!(left, aborted, "{report}");
    let mut by_status = 0.0;
    for status in ["200", "201", "404", "503", "cancelled", "panicked"] {
        // Chance is the same on every run, but a slow machine may not come to all of it.
        let (seen, counted) = compared.get(status).copied().unwrap_or_default();
        assert_eq!(seen, counted, "{status}\n{report}");
        by_status += seen;
    }
    assert_eq!(by_status, requests, "{report}");
    assert!(
        report.contains("Every request was counted once"),
        "{report}"
    );
}

#[test]
fn prometheus_counts_what_customers_saw() {
    let report = report(None);
    assert_agrees(&report);
    let compared = compared(&report);
    let (_, rate) = compared["requests a second"];
    assert!(rate > 1.0, "{report}");
    assert!(compared.contains_key("errors, %"), "{report}");
    assert!(compared.contains_key("/users/{id}"), "{report}");
    // It took its Prometheus along.
    let url = report
        .lines()
        .find_map(|line| line.strip_prefix("Prometheus "));
    let address = url.and_then(|url| url.trim().strip_prefix("http://"));
    assert!(TcpStream::connect(address.unwrap()).is_err(), "{report}");
}

#[test]
fn without_prometheus_the_page_says_it() {
    let report = report(Some("/no/such/prometheus"));
    assert!(report.contains("Prometheus is not installed"), "{report}");
    assert_agrees(&report);
}
