//! `observe` and `previews`: the metrics and the clients have equal counts, with a real Prometheus
//! and without one, and every panel is drawn. `tests/run` installs Prometheus.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use test_support::skip_without;
use test_support::store::Directory;
use tower_prometheus::collectors::{ProcessCollector, RuntimeCollector};
use tower_prometheus::{HttpMetrics, http::HttpMetric};
use tower_prometheus_mixin::Dashboard;

/// Runs `observe` for four seconds and returns its output.
fn report(prometheus: Option<&str>) -> String {
    let directory = Directory::new();
    let mut observe = Command::new(env!("CARGO_BIN_EXE_observe"));
    observe.env("TMPDIR", &directory.0);
    if let Some(program) = prometheus {
        observe.env("PROMETHEUS", program);
    }
    let output = observe.arg("4").output();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
    // Prometheus was stopped, and its data removed.
    assert_eq!(processes_in(&directory.0), [0; 0]);
    assert_eq!(std::fs::read_dir(&directory.0).unwrap().count(), 0);
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the processes whose working directory is in `directory`, even if it was removed.
fn processes_in(directory: &Path) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let is_in = |process: &u32| {
        let directory_of = std::fs::read_link(format!("/proc/{process}/cwd"));
        directory_of.is_ok_and(|path| path.starts_with(directory))
    };
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(is_in).collect()
}

/// Returns the two numbers of each line of the report, by its heading: that of the clients, and
/// that of the metrics.
fn compared(report: &str) -> BTreeMap<&str, (f64, f64)> {
    let pair = |line: &str| {
        let mut words = line.split_whitespace().rev();
        let reported = words.next()?.parse().ok()?;
        Some((words.next()?.parse().ok()?, reported))
    };
    let lines = report.lines().filter(|line| line.len() > 26);
    let lines = lines.filter_map(|line| {
        let (heading, numbers) = line.split_at_checked(26)?;
        Some((heading.trim(), pair(numbers)?))
    });
    // Lines of quantiles have three pairs; only that of p99 is returned, and no test uses it.
    lines.collect()
}

/// Asserts that each request of the clients was counted once, with its final status.
#[track_caller]
fn assert_counts_equal(report: &str) {
    let compared = compared(report);
    let (requests, counted) = compared["requests"];
    assert!(requests > 50.0, "{report}");
    assert_eq!(requests, counted, "{report}");
    let (sent, counted) = compared["aborted bodies"];
    assert_eq!(sent, counted, "{report}");
    let mut by_status = 0.0;
    for status in ["200", "201", "404", "503", "cancelled", "panicked"] {
        // Every run has the same sequence of requests, but a slow machine may not send all kinds of them.
        let (sent, counted) = compared.get(status).copied().unwrap_or_default();
        assert_eq!(sent, counted, "{status}\n{report}");
        by_status += sent;
    }
    assert_eq!(by_status, requests, "{report}");
    assert!(
        report.contains("Every request was counted once"),
        "{report}"
    );
}

#[test]
fn prometheus_counts_equal_the_counts_of_the_clients() {
    skip_without!(Prometheus);
    let report = report(None);
    assert_counts_equal(&report);
    let compared = compared(&report);
    let (_, rate) = compared["requests per second"];
    assert!(rate > 1.0, "{report}");
    assert!(compared.contains_key("errors, %"), "{report}");
    assert!(compared.contains_key("/users/{id}"), "{report}");
    assert!(
        report.contains("\nPrometheus           http://127.0.0.1:"),
        "{report}"
    );
}

#[test]
fn missing_prometheus_is_reported() {
    let report = report(Some("/no/such/prometheus"));
    assert!(report.contains("Prometheus is not installed"), "{report}");
    assert_counts_equal(&report);
}

/// Every panel is in the picture. All have data, except those on overflow.
#[test]
fn previews_draw_every_panel() {
    skip_without!(Prometheus);
    let directory = Directory::new();
    let output = Command::new(env!("CARGO_BIN_EXE_previews"))
        .arg("3")
        .current_dir(&directory.0)
        .output();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
    // Nothing overflows, so two panels of the HTTP dashboard have no data.
    for (file, json, without_data) in [("http", http(), 2), ("process", process(), 0)] {
        let path = directory.0.join(format!("docs/previews/{file}.svg"));
        let drawn = std::fs::read_to_string(path).unwrap();
        let dashboard: serde_json::Value = serde_json::from_str(&json).unwrap();
        let panels = dashboard["panels"].as_array().unwrap();
        for panel in panels.iter().filter(|panel| panel["type"] != "row") {
            let title = panel["title"].as_str().unwrap();
            assert!(drawn.contains(&format!("\n{title}\n")), "{title} in {file}");
        }
        assert_eq!(drawn.matches("\nNo data\n").count(), without_data, "{file}");
        assert!(drawn.matches("<polyline").count() > panels.len(), "{file}");
    }
}

fn http() -> String {
    let http = HttpMetrics::server().measure(HttpMetric::ResponseBodySize);
    Dashboard::http("http", "Shop", http)
        .unwrap()
        .to_json()
        .unwrap()
}

fn process() -> String {
    let families = [ProcessCollector::families(), RuntimeCollector::families()].concat();
    Dashboard::process("process", "Shop", families)
        .to_json()
        .unwrap()
}
