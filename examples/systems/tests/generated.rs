//! Dashboards, rules and scrape configurations of the five systems: equal to the files in
//! `generated/`, valid for Grafana, promtool and real servers, and as specified by the teams.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use promql_parser::parser;
use serde_json::Value;
use systems::{agentos, aria, asdlc, openclaw, zerostate};
use test_support::dashboard::{Dashboard, Panel, selectors};
use test_support::rules::assert_valid_rules;
use test_support::skip_without;
use test_support::store::{Directory, Store, promtool, with_static_target};
use tower_prometheus_mixin::{Dashboard as DashboardBuilder, Definitions, Mixin};

/// The mixin of each system, with its directory in `generated`.
fn mixins() -> [(&'static str, Mixin); 5] {
    let openclaw_families = openclaw::metrics::families().unwrap();
    let asdlc_families = asdlc::metrics::families().unwrap();
    [
        (
            "agentos",
            agentos::mixin::mixin(&agentos::metrics::AgentOs::families()).unwrap(),
        ),
        (
            "aria",
            aria::mixin::mixin(&aria::metrics::families()).unwrap(),
        ),
        ("asdlc", asdlc::mixin::mixin(&asdlc_families).unwrap()),
        (
            "openclaw",
            openclaw::mixin::mixin(&openclaw_families).unwrap(),
        ),
        (
            "zerostate",
            zerostate::mixin::mixin(&zerostate::metrics::families()).unwrap(),
        ),
    ]
}

/// The content of every file, by its path in `generated`.
fn files() -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    for (system, mixin) in mixins() {
        let files = mixin.files().unwrap().into_iter();
        all.extend(files.map(|(path, text)| (Path::new(system).join(path), text)));
    }
    all
}

/// The files whose path ends with `end`.
fn files_ending(end: &str) -> Vec<(PathBuf, String)> {
    let files = files().into_iter();
    let files: Vec<_> = files
        .filter(|(path, _)| path.to_string_lossy().ends_with(end))
        .collect();
    assert!(files.len() >= 5, "{end}: {files:?}");
    files
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("generated")
}

/// Every file in a directory and its subdirectories.
fn files_in(directory: &Path) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(files_in(&path)),
            false => drop(files.insert(path)),
        }
    }
    files
}

/// `GENERATED_OVERWRITE=1` overwrites the files.
#[test]
fn generated_files_are_up_to_date() {
    if std::env::var_os("GENERATED_OVERWRITE").is_some() {
        for (system, mixin) in mixins() {
            mixin.write_to(root().join(system)).unwrap();
        }
    }
    let mut expected = BTreeSet::new();
    for (path, text) in files() {
        let path = root().join(path);
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == text,
            "{} is out of date: run GENERATED_OVERWRITE=1 cargo test -p systems --test generated, and read `git diff`",
            path.display()
        );
        expected.insert(path);
    }
    // `generated/` has no other files.
    assert_eq!(files_in(&root()), expected);
}

/// Every generated dashboard, and three that are derived from catalogues alone.
fn dashboards() -> Vec<Dashboard> {
    let files = files_ending(".json").into_iter();
    let files = files.filter(|(path, _)| !path.to_string_lossy().ends_with(".api.json"));
    let derived = [
        ("agentos", agentos::metrics::AgentOs::families()),
        ("aria", aria::metrics::families()),
        ("zero", zerostate::metrics::families()),
    ];
    let derived = derived.map(|(uid, families)| {
        DashboardBuilder::of_families(uid, uid, families)
            .to_json()
            .unwrap()
    });
    let texts = files.map(|(_, text)| text).chain(derived);
    texts.map(|text| Dashboard::parse(&text)).collect()
}

fn dashboard(uid: &str) -> Dashboard {
    let mut dashboards = dashboards().into_iter();
    dashboards.find(|dashboard| dashboard.uid == uid).unwrap()
}

/// Only the queries for which a team requested a custom range have one.
#[test]
fn dashboards_follow_grafanas_schema_and_linter() {
    let mut ranges = BTreeSet::new();
    for dashboard in dashboards() {
        let custom = dashboard.assert_valid(&["aria_scheduler_jobs_total"]);
        ranges.extend(
            custom
                .into_iter()
                .map(|(title, seconds)| (dashboard.uid.clone(), title, seconds)),
        );
    }
    let ranges: Vec<_> = ranges
        .iter()
        .map(|(uid, title, seconds)| (uid.as_str(), title.as_str(), *seconds))
        .collect();
    assert_eq!(
        ranges,
        [
            ("agentos-gateway", "Requests (5 m)", 300),
            ("agentos-gateway", "Tokens (1 h)", 3600),
            ("aria-engine-prod", "Database latency p95", 300),
            ("aria-engine-prod", "Error rate", 300),
            ("aria-engine-prod", "LLM latency p95", 300),
            ("aria-engine-prod", "LLM token usage", 300),
            ("aria-engine-prod", "Request duration p95", 300),
            ("aria-engine-prod", "Request rate", 300),
            ("aria-engine-prod", "Routing distribution (1 h)", 3600),
        ]
    );
}

fn steps(panel: &Panel) -> Vec<(&str, Option<f64>)> {
    let defaults = &panel.field_config.as_ref().unwrap().defaults;
    let steps = defaults.thresholds.steps.iter();
    steps
        .map(|step| (step.color.as_str(), step.value))
        .collect()
}

#[test]
fn aria_has_its_13_panels() {
    let aria = dashboard("aria-engine-prod");
    assert_eq!(aria.refresh, "30s");
    let panels: Vec<_> = aria
        .panels
        .iter()
        .map(|panel| (panel.title.as_str(), panel.kind.as_str()))
        .collect();
    assert_eq!(
        panels,
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
    let errors = [("green", None), ("yellow", Some(0.01)), ("red", Some(0.1))];
    assert_eq!(steps(aria.panel("Error rate")), errors);
    let memory = [
        ("green", None),
        ("yellow", Some(300.0)),
        ("red", Some(450.0)),
    ];
    assert_eq!(steps(aria.panel("Memory (RSS)")), memory);
    assert_eq!(
        aria.panel("Memory (RSS)").targets[0].expr,
        "max by (instance) (aria_memory_rss_bytes{job=~\"$job\",instance=~\"$instance\"}) / 1000000"
    );
    assert_eq!(aria.panel("Database pool").targets.len(), 2);
}

#[test]
fn agentos_has_4_rows_and_18_panels() {
    let agentos = dashboard("agentos-gateway");
    assert_eq!(agentos.panels.len(), 22);
    let mut rows: Vec<(&str, u32)> = Vec::new();
    for panel in &agentos.panels {
        match (panel.kind.as_str(), rows.last_mut()) {
            ("row", _) => rows.push((&panel.title, 0)),
            (_, Some((_, panels))) => *panels += 1,
            (_, None) => panic!("{} is above all rows", panel.title),
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
    let ratio = agentos.panel("Cache hit ratio");
    assert_eq!(ratio.kind, "gauge");
    let defaults = &ratio.field_config.as_ref().unwrap().defaults;
    assert_eq!(
        (defaults.min, defaults.max, defaults.unit.as_str()),
        (Some(0.0), Some(1.0), "percentunit")
    );
}

/// The file for Grafana's API wraps the dashboard of the file for Grafana's import page.
#[test]
fn api_files_wrap_the_same_dashboard() {
    let files = files();
    for (path, text) in files_ending(".api.json") {
        let api: BTreeMap<String, Value> = serde_json::from_str(&text).unwrap();
        assert_eq!(api.keys().collect::<Vec<_>>(), ["dashboard", "overwrite"]);
        let import = path.to_string_lossy().replace(".api.json", ".json");
        let import: Value = serde_json::from_str(&files[Path::new(&import)]).unwrap();
        assert_eq!(api["dashboard"], import);
    }
}

/// A derived dashboard queries every metric family of a catalogue, and no other.
#[test]
fn derived_dashboard_shows_every_family() {
    let families = zerostate::metrics::families();
    let dashboard = dashboard("zero");
    let queried: BTreeSet<_> = dashboard
        .panels_without_rows()
        .flat_map(|panel| &panel.targets)
        .flat_map(|target| selectors(&target.expr))
        .map(|selected| selected.selector.name.unwrap())
        .map(|name| {
            let histogram = families.iter().find(|family| {
                name.strip_prefix(&family.name)
                    .is_some_and(|rest| matches!(rest, "_bucket" | "_count"))
            });
            histogram.map_or(name, |family| family.name.clone())
        })
        .collect();
    let defined: BTreeSet<_> = families.iter().map(|family| family.name.clone()).collect();
    assert_eq!(queried, defined);
}

/// The rule files, by name.
fn rules() -> Vec<(String, String)> {
    let files = files_ending(".yml").into_iter();
    let rules = files.filter(|(path, _)| path.parent().unwrap().ends_with("rules"));
    rules
        .map(|(path, text)| {
            let name = path.file_name().unwrap().to_string_lossy();
            (name.into_owned(), text)
        })
        .collect()
}

#[test]
fn promtool_accepts_the_rules() {
    skip_without!(Promtool);
    let directory = Directory::new();
    let rules = rules();
    assert_eq!(rules.len(), 5);
    for (name, text) in rules {
        directory.write(&name, &text);
        let output = promtool(&["check", "rules", "--lint-fatal", &name], &directory.0);
        assert!(output.contains("SUCCESS"), "{output}");
    }
}

#[test]
fn zerostate_alerts_pass_the_promtool_rule_tests() {
    skip_without!(Promtool);
    let directory = Directory::new();
    for (name, text) in rules() {
        directory.write(&name, &text);
    }
    directory.write("zerostate.test.yml", include_str!("zerostate.yml"));
    promtool(&["test", "rules", "zerostate.test.yml"], &directory.0);
}

#[test]
fn every_alert_has_a_severity_a_summary_and_a_description() {
    let alerts: usize = rules()
        .iter()
        .map(|(name, text)| assert_valid_rules(name, text))
        .sum();
    assert!(alerts >= 10, "{alerts}");
}

#[test]
fn promtool_accepts_the_scrape_configurations() {
    skip_without!(Promtool);
    let directory = Directory::new();
    directory.write("rules/none.yml", "groups: []\n");
    for file in ["prometheus.yml", "vmagent.yml"] {
        for (_, text) in files_ending(file) {
            directory.write(file, &with_static_target(&text));
            let output = promtool(&["check", "config", "--lint-fatal", file], &directory.0);
            assert!(output.contains("SUCCESS"), "{output}");
        }
    }
}

/// aSDLC's configuration has every kind of job. Both servers load it and list its static targets.
/// VictoriaMetrics finds no pod outside of Kubernetes.
#[test]
fn real_servers_load_the_scrape_configuration() {
    skip_without!(Prometheus, VictoriaMetrics);
    let files = files();
    let asdlc = |file: &str| &files[&Path::new("asdlc").join(file)];
    for store in [
        Store::prometheus(&with_static_target(asdlc("prometheus.yml")), &[]),
        Store::victoria_metrics(asdlc("vmagent.yml")),
    ] {
        assert_eq!(
            store.active_targets(2),
            [
                "asdlc-orchestrator orchestrator:8080 http://orchestrator:8080/metrics",
                "asdlc-workers workers:8081 http://workers:8081/metrics",
            ]
        );
    }
}

/// The queries of ZeroState's cookbook are different, valid PromQL on its metric families.
#[test]
fn zerostate_cookbook_has_twelve_valid_queries() {
    let definitions = Definitions::from(zerostate::metrics::families());
    let mut queries = BTreeSet::new();
    for (question, query) in zerostate::mixin::cookbook() {
        let promql = query.to_promql(&definitions).unwrap();
        parser::parse(&promql).unwrap_or_else(|error| panic!("{question}: {error}"));
        assert!(queries.insert(promql));
    }
    assert_eq!(queries.len(), 12);
    assert!(queries.contains("quantile(0.5, zerostate_economic_reputation_scores)"));
    // The cookbook is documentation: no file is generated for it.
    assert!(files().keys().all(|path| !path.ends_with("cookbook.yml")));
}
