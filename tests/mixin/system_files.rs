//! The files of the systems have what their teams asked for. That they pass Grafana's linter and promtool is tested in
//! the package `tower-prometheus-mixin`, which reads the generated files.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use test_support::store::{Directory, promtool};
use tower_prometheus_mixin::{Dashboard, Definitions};

use crate::systems;

/// The panels and rows of a generated dashboard.
fn panels(path: &str) -> Vec<Value> {
    let text = &systems::files()[std::path::Path::new(path)];
    let dashboard: Value = serde_json::from_str(text).unwrap();
    dashboard["panels"].as_array().unwrap().clone()
}

fn panel<'a>(panels: &'a [Value], title: &str) -> &'a Value {
    let panel = panels.iter().find(|panel| panel["title"] == title);
    panel.unwrap_or_else(|| panic!("no panel {title:?}"))
}

#[test]
fn aria_has_its_13_panels() {
    let path = "aria/dashboards/aria-engine-prod.json";
    let dashboard: Value =
        serde_json::from_str(&systems::files()[std::path::Path::new(path)]).unwrap();
    assert_eq!(dashboard["refresh"], "30s");
    let aria = panels(path);
    let found: Vec<_> = aria
        .iter()
        .map(|panel| {
            (
                panel["title"].as_str().unwrap(),
                panel["type"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("Request rate", "timeseries"),
            ("Request duration p95", "timeseries"),
            ("LLM token usage", "timeseries"),
            ("LLM latency p95", "timeseries"),
            ("Active sessions", "stat"),
            ("Active agents", "stat"),
            ("Error rate", "stat"),
            ("Memory (RSS)", "stat"),
            ("Pheromone scores", "bargauge"),
            ("Routing distribution (1 h)", "piechart"),
            ("Scheduler job status", "table"),
            ("Database latency p95", "timeseries"),
            ("Database pool", "timeseries"),
        ]
    );
    let steps =
        |title: &str| panel(&aria, title)["fieldConfig"]["defaults"]["thresholds"]["steps"].clone();
    let expected = |warning: f64, critical: f64| {
        json!([
            { "color": "green", "value": null },
            { "color": "yellow", "value": warning },
            { "color": "red", "value": critical },
        ])
    };
    assert_eq!(steps("Error rate"), expected(0.01, 0.1));
    assert_eq!(steps("Memory (RSS)"), expected(300.0, 450.0));
    assert_eq!(
        panel(&aria, "Memory (RSS)")["targets"][0]["expr"],
        "max by (instance) (aria_memory_rss_bytes{job=~\"$job\",instance=~\"$instance\"}) / 1000000"
    );
    assert_eq!(
        panel(&aria, "Database pool")["targets"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn agentos_has_4_rows_and_18_panels() {
    let agentos = panels("agentos/dashboards/agentos-gateway.json");
    assert_eq!(agentos.len(), 22);
    let mut rows: Vec<(&str, u32)> = Vec::new();
    for panel in &agentos {
        let title = panel["title"].as_str().unwrap();
        match (panel["type"].as_str().unwrap(), rows.last_mut()) {
            ("row", _) => rows.push((title, 0)),
            (_, Some((_, panels))) => *panels += 1,
            (_, None) => panic!("{title} is above all rows"),
        }
    }
    assert_eq!(
        rows,
        [
            ("Overview", 6),
            ("Requests", 4),
            ("Providers", 4),
            ("Rate limit and cache", 4)
        ]
    );
    let ratio = panel(&agentos, "Cache hit ratio");
    assert_eq!(ratio["type"], "gauge");
    let defaults = &ratio["fieldConfig"]["defaults"];
    assert_eq!(
        (&defaults["min"], &defaults["max"], &defaults["unit"]),
        (&json!(0.0), &json!(1.0), &json!("percentunit"))
    );
}

/// The dashboard that is derived from a catalogue can be generated for each system, and names every family.
#[test]
fn catalogues_have_derived_dashboards() {
    for families in [
        systems::agentos_metrics::AgentOs::families(),
        systems::aria_metrics::families(),
        systems::asdlc_metrics::families().unwrap(),
        systems::openclaw_metrics::families().unwrap(),
        systems::zerostate_metrics::families(),
    ] {
        let json = Dashboard::of_families("derived", "Derived", families.clone())
            .to_json()
            .unwrap();
        for family in families {
            assert!(json.contains(&family.name), "{}", family.name);
        }
    }
}

#[test]
fn zerostate_alerts_fire_exactly_when_they_should() {
    let directory = Directory::new();
    let rules = &systems::files()[std::path::Path::new("zerostate/rules/zerostate.yml")];
    directory.write("zerostate.yml", rules);
    directory.write("zerostate.test.yml", include_str!("cases/zerostate.yml"));
    promtool(&["test", "rules", "zerostate.test.yml"], &directory.0);
}

/// The families answer each of the twelve questions of ZeroState's cookbook.
#[test]
fn zerostate_cookbook_can_be_queried() {
    let definitions = Definitions::from(systems::zerostate_metrics::families());
    let mut queries = BTreeSet::new();
    for (question, query) in systems::zerostate::cookbook() {
        let promql = query.to_promql(&definitions).unwrap();
        promql_parser::parser::parse(&promql).unwrap_or_else(|error| panic!("{question}: {error}"));
        assert!(queries.insert(promql));
    }
    assert_eq!(queries.len(), 12);
    assert!(queries.contains("quantile(0.5, zerostate_economic_reputation_scores)"));
    // The cookbook is for people: it is in none of the files.
    assert!(
        systems::files()
            .keys()
            .all(|path| !path.ends_with("cookbook.yml"))
    );
}
