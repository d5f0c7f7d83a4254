//! `json_lines`: every series of a snapshot is one line of JSON, with the values of the metrics page.

use std::process::Command;

use serde_json::{Value, json};
use tower_prometheus::Registry;
use tower_prometheus::collect::{HistogramSample, Samples, SummarySample};

fn parsed(lines: &str) -> Vec<Value> {
    let lines = lines.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn every_kind_is_one_line_for_each_series() {
    let registry = Registry::builder().constant_label("service", "shop");
    let registry = registry.build().unwrap();
    metrics::with_local_recorder(&registry, || {
        metrics::counter!("orders_total", "kind" => "a \"b\"\n").increment(u64::MAX);
        metrics::histogram!("order_seconds").record(0.03);
    });
    let report = |samples: &mut Samples| {
        samples.gauge("depth", "").value(f64::NEG_INFINITY);
        samples.info("build_info", "", &[("version", "1")]);
        let waits = HistogramSample::cumulative([(0.1, 3), (1.0, 8)], 9, 4.5);
        samples.histogram("wait_seconds", "").value(waits);
        let sizes = SummarySample::new([(0.5, f64::NAN)], 2, 7.5);
        samples.summary("size_bytes", "").value(sizes);
        samples.state_set("state", "").value(&["up", "down"], "up");
        Ok(())
    };
    registry.collector("db", report).unwrap();
    let mut lines = Vec::new();
    let snapshot = registry.gather().await;
    observe::json_lines::write(&snapshot, 1_700_000_000, &mut lines).unwrap();
    let mut lines = parsed(&String::from_utf8(lines).unwrap());
    lines.retain(|line| !line["name"].as_str().unwrap().starts_with("scrape_"));
    let own_bounds = lines.remove(2);
    let line = |name: &str, kind: &str, labels: Value, values: Value| {
        let mut line = json!({"time": 1_700_000_000, "name": name, "type": kind, "labels": labels});
        line["labels"]["service"] = "shop".into();
        for (name, value) in values.as_object().unwrap() {
            line[name] = value.clone();
        }
        line
    };
    let none = || json!({});
    let buckets = json!([[0.1, 3], [1.0, 8], ["+Inf", 9]]);
    let histogram = json!({"count": 9, "sum": 4.5, "buckets": buckets});
    let summary = json!({"count": 2, "sum": 7.5, "quantiles": [[0.5, "NaN"]]});
    assert_eq!(
        lines,
        [
            line("build_info", "info", json!({"version": "1"}), none()),
            line("depth", "gauge", none(), json!({"value": "-Inf"})),
            line(
                "orders_total",
                "counter",
                json!({"kind": "a \"b\"\n"}),
                json!({"value": u64::MAX})
            ),
            line("size_bytes", "summary", none(), summary),
            line(
                "state",
                "stateset",
                json!({"state": "down"}),
                json!({"value": false})
            ),
            line(
                "state",
                "stateset",
                json!({"state": "up"}),
                json!({"value": true})
            ),
            line("wait_seconds", "histogram", none(), histogram),
        ]
    );
    assert_eq!(own_bounds["name"], "order_seconds");
    assert_eq!(own_bounds["buckets"].as_array().unwrap().len(), 12);
    assert_eq!(own_bounds["count"], 1);
}

#[test]
fn program_writes_a_snapshot_with_its_collectors() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_json_lines"));
    let output = program.arg("1").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let lines = parsed(&String::from_utf8(output.stdout).unwrap());
    let value = |name: &str| {
        let line = lines.iter().find(|line| line["name"] == name);
        line.unwrap()["value"].clone()
    };
    assert_eq!(
        (value("orders_total"), value("queue_length")),
        (json!(1), json!(3))
    );
    assert_eq!(value("scrape_collector_success"), json!(1));
}
