//! Every generated dashboard keeps the rules of Grafana's linter and the schema of Grafana 10.

use std::collections::{BTreeMap, BTreeSet};

use promql_parser::parser::{self, Expr, VectorSelector};
use serde::Deserialize;
use serde_json::Value;
use tower_prometheus::{
    HttpMetrics,
    http::{HttpMetric, Naming},
};
use tower_prometheus_mixin::Dashboard as Made;

use crate::families;
use crate::generated::{self, files_ending};

/// The part of Grafana's model that this crate writes: an unknown key or a value of another type is an error.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "the shape is the test")]
struct Dashboard {
    id: Option<u32>,
    uid: String,
    title: String,
    description: String,
    tags: Vec<String>,
    timezone: String,
    editable: bool,
    graph_tooltip: u8,
    time: Time,
    refresh: String,
    schema_version: u32,
    templating: List<Variable>,
    annotations: List<Value>,
    links: Vec<Value>,
    panels: Vec<Panel>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Time {
    from: String,
    to: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List<T> {
    list: Vec<T>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "the shape is the test")]
struct Variable {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    label: String,
    datasource: Option<DataSource>,
    query: Value,
    definition: Option<String>,
    refresh: u8,
    hide: u8,
    sort: Option<u8>,
    multi: bool,
    include_all: bool,
    all_value: Option<String>,
    options: Vec<Value>,
    regex: String,
    current: Value,
}

#[derive(Deserialize, PartialEq, Debug)]
#[serde(deny_unknown_fields)]
struct DataSource {
    #[serde(rename = "type")]
    kind: String,
    uid: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "the shape is the test")]
struct Panel {
    id: u32,
    #[serde(rename = "type")]
    kind: String,
    title: String,
    grid_pos: GridPos,
    // Of rows.
    collapsed: Option<bool>,
    panels: Option<Vec<Value>>,
    // Of all others.
    #[serde(default)]
    description: String,
    datasource: Option<DataSource>,
    #[serde(default)]
    targets: Vec<Target>,
    field_config: Option<FieldConfig>,
    options: Option<BTreeMap<String, Value>>,
    transformations: Option<Vec<Value>>,
}

#[derive(Deserialize, Clone, Copy, Debug)]
#[serde(deny_unknown_fields)]
struct GridPos {
    h: u32,
    w: u32,
    x: u32,
    y: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Target {
    ref_id: String,
    datasource: DataSource,
    expr: String,
    legend_format: String,
    instant: bool,
    range: bool,
    format: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldConfig {
    defaults: Defaults,
    overrides: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the shape is the test")]
struct Defaults {
    unit: String,
    min: Option<f64>,
    max: Option<f64>,
    color: BTreeMap<String, String>,
    thresholds: Thresholds,
    mappings: Vec<Value>,
    custom: Option<BTreeMap<String, Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Thresholds {
    mode: String,
    steps: Vec<Step>,
}

#[derive(Deserialize, PartialEq, Debug)]
#[serde(deny_unknown_fields)]
struct Step {
    color: String,
    value: Option<f64>,
}

/// Every generated dashboard of the repository, and dashboards of layers with other names.
fn dashboards() -> Vec<Dashboard> {
    let files = files_ending(".json").into_iter();
    let files = files.filter(|(path, _)| !path.to_string_lossy().ends_with(".api.json"));
    let mut texts: Vec<_> = files.map(|(_, text)| text).collect();
    let own = Naming::classic()
        .status_label("code")
        .endpoint_label("route");
    for http in [
        HttpMetrics::client().prefix("shop"),
        HttpMetrics::axum_prometheus(),
        HttpMetrics::server()
            .naming(own)
            .status_classes()
            .measure(HttpMetric::HeadDuration),
        HttpMetrics::server()
            .without(HttpMetric::Requests)
            .without(HttpMetric::InProgress)
            .without(HttpMetric::AbortedBodies)
            .without(HttpMetric::OpenConnections),
        HttpMetrics::server().without(HttpMetric::Duration),
    ] {
        texts.push(
            Made::http("shop", "Shop", &http)
                .unwrap()
                .to_json()
                .unwrap(),
        );
    }
    let with_bodies = HttpMetrics::server().with_request_body();
    texts.push(
        Made::http("shop", "Shop", &with_bodies)
            .unwrap()
            .to_json()
            .unwrap(),
    );
    texts.push(
        Made::of_families("aria", "Aria", families::aria())
            .to_json()
            .unwrap(),
    );
    texts.push(
        Made::of_families("cache", "Cache", families::cache())
            .to_json()
            .unwrap(),
    );
    texts.iter().map(|text| parsed(text)).collect()
}

fn parsed(json: &str) -> Dashboard {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}\n{json}"))
}

impl Dashboard {
    fn drawn(&self) -> impl Iterator<Item = &Panel> {
        self.panels.iter().filter(|panel| panel.kind != "row")
    }
}

#[test]
fn dashboards_follow_the_schema_of_grafana_10() {
    const KINDS: [&str; 6] = [
        "timeseries",
        "stat",
        "gauge",
        "bargauge",
        "piechart",
        "table",
    ];
    for dashboard in dashboards() {
        assert_eq!(dashboard.id, None);
        // What Grafana 10.0 writes; later ones bring it up to date.
        assert_eq!(dashboard.schema_version, 38);
        assert!(dashboard.time.from.starts_with("now-") && dashboard.time.to == "now");
        let ids: BTreeSet<_> = dashboard.panels.iter().map(|panel| panel.id).collect();
        assert_eq!(ids.len(), dashboard.panels.len());
        assert!(!ids.contains(&0));
        for panel in &dashboard.panels {
            if panel.kind == "row" {
                assert_eq!(panel.collapsed, Some(false));
                assert_eq!(panel.panels.as_ref().map(Vec::len), Some(0));
                assert_eq!((panel.grid_pos.w, panel.grid_pos.h), (24, 1));
                continue;
            }
            assert!(KINDS.contains(&panel.kind.as_str()), "{}", panel.kind);
            let refs: BTreeSet<_> = panel.targets.iter().map(|target| &target.ref_id).collect();
            assert_eq!(refs.len(), panel.targets.len(), "{}", panel.title);
            for target in &panel.targets {
                assert!(target.instant != target.range);
                assert_eq!(target.range, panel.kind == "timeseries", "{}", panel.title);
                assert_eq!(target.format == "table", panel.kind == "table");
                assert!(!target.legend_format.is_empty());
            }
            let config = panel.field_config.as_ref().unwrap();
            assert!(config.overrides.is_empty());
            let Thresholds { mode, steps } = &config.defaults.thresholds;
            assert_eq!(mode, "absolute");
            assert_eq!(steps[0].value, None, "the first colour has no value");
            assert!(steps[1..].windows(2).all(|two| two[0].value < two[1].value));
            assert_eq!(config.defaults.custom.is_some(), panel.kind == "timeseries");
            assert!(!panel.options.as_ref().unwrap().is_empty());
        }
    }
}

#[test]
fn panels_do_not_overlap() {
    for dashboard in dashboards() {
        let mut taken = BTreeSet::new();
        for panel in &dashboard.panels {
            let GridPos { h, w, x, y } = panel.grid_pos;
            assert!(w > 0 && h > 0 && x + w <= 24, "{}", panel.title);
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                assert!(taken.insert(cell), "{} of {}", panel.title, dashboard.title);
            }
        }
    }
}

/// The linter's rules for variables: one data source, jobs and instances, all reloaded with the time range.
#[test]
fn lint_variables() {
    for dashboard in dashboards() {
        let variables = &dashboard.templating.list;
        let named: Vec<_> = variables
            .iter()
            .map(|variable| variable.name.as_str())
            .collect();
        assert_eq!(named, ["datasource", "job", "instance"]);
        assert_eq!(variables[0].kind, "datasource");
        assert_eq!(variables[0].label, "Data source");
        assert_eq!(variables[0].query, "prometheus");
        for (variable, label) in variables[1..].iter().zip(["Job", "Instance"]) {
            assert_eq!(variable.kind, "query");
            assert_eq!(variable.label, label);
            assert!(variable.multi && variable.include_all);
            assert_eq!(variable.all_value.as_deref(), Some(".+"));
            assert_eq!(variable.refresh, 2);
            assert_eq!(variable.datasource.as_ref().unwrap().uid, "${datasource}");
            let query = variable.query["query"].as_str().unwrap();
            assert_eq!(variable.definition.as_deref(), Some(query));
            let (series, of) = query
                .strip_prefix("label_values(")
                .and_then(|query| query.strip_suffix(')'))
                .and_then(|query| query.rsplit_once(", "))
                .unwrap();
            assert_eq!(of, variable.name);
            parser::parse(series).unwrap();
        }
        assert!(
            !dashboard.editable,
            "the linter's uneditable-dashboard rule"
        );
    }
}

/// The linter's rules for panels: the data source of the variable, title, description, a unit it knows, a query.
#[test]
fn lint_panels() {
    const UNITS: [&str; 19] = [
        "short",
        "reqps",
        "ops",
        "s",
        "ms",
        "µs",
        "ns",
        "bytes",
        "kbytes",
        "mbytes",
        "gbytes",
        "decmbytes",
        "binBps",
        "percentunit",
        "percent",
        "currencyUSD",
        "dateTimeAsIso",
        "bool_yes_no",
        "none",
    ];
    for dashboard in dashboards() {
        assert!(dashboard.drawn().count() > 0);
        for panel in dashboard.drawn() {
            let title = &panel.title;
            assert!(!title.is_empty());
            assert!(
                panel.description.len() > 20,
                "{title}: {:?}",
                panel.description
            );
            assert!(
                panel.description.ends_with('.'),
                "{title}: {:?}",
                panel.description
            );
            let unit = &panel.field_config.as_ref().unwrap().defaults.unit;
            assert!(UNITS.contains(&unit.as_str()), "{title}: {unit}");
            let source = DataSource {
                kind: "prometheus".to_owned(),
                uid: "${datasource}".to_owned(),
            };
            assert_eq!(panel.datasource.as_ref(), Some(&source), "{title}");
            assert!(!panel.targets.is_empty(), "{title}");
            assert!(
                panel
                    .targets
                    .iter()
                    .all(|target| target.datasource == source)
            );
        }
    }
}

/// Replaces `$__rate_interval`, which the parser does not read as a duration.
const MAGIC: &str = "7919s";

/// One selector of an expression: the function around it, and its window.
struct Selected {
    selector: VectorSelector,
    function: Option<&'static str>,
    seconds: Option<u64>,
}

fn selectors(promql: &str) -> Vec<Selected> {
    let promql = promql.replace("$__rate_interval", MAGIC);
    let expression = parser::parse(&promql).unwrap_or_else(|error| panic!("{promql}: {error}"));
    let mut found = Vec::new();
    walk(&expression, None, &mut found);
    found
}

fn walk(expression: &Expr, function: Option<&'static str>, found: &mut Vec<Selected>) {
    match expression {
        Expr::Aggregate(of) => walk(&of.expr, None, found),
        Expr::Unary(of) => walk(&of.expr, None, found),
        Expr::Paren(of) => walk(&of.expr, None, found),
        Expr::Binary(of) => {
            walk(&of.lhs, None, found);
            walk(&of.rhs, None, found);
        }
        Expr::Call(call) => {
            for argument in &call.args.args {
                walk(argument, Some(call.func.name), found);
            }
        }
        Expr::VectorSelector(selector) => found.push(Selected {
            selector: selector.clone(),
            function,
            seconds: None,
        }),
        Expr::MatrixSelector(of) => found.push(Selected {
            selector: of.vs.clone(),
            function,
            seconds: Some(of.range.as_secs()),
        }),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) => {}
        Expr::Subquery(_) | Expr::Extension(_) => panic!("{expression}"),
    }
}

/// The linter's rules for queries: `job` and `instance` in every selector, `$__rate_interval` in every rate,
/// every `_total` in a rate.
#[test]
fn lint_queries() {
    let mut windows = BTreeSet::new();
    for dashboard in dashboards() {
        for panel in dashboard.drawn() {
            let what = format!("{} of {}", panel.title, dashboard.title);
            for Selected {
                selector,
                function,
                seconds,
            } in panel
                .targets
                .iter()
                .flat_map(|target| selectors(&target.expr))
            {
                let name = selector.name.as_deref().unwrap();
                for label in ["job", "instance"] {
                    let matchers = selector.matchers.find_matchers(label);
                    assert_eq!(matchers.len(), 1, "{what}: {name} without {label}");
                    assert_eq!(matchers[0].value, format!("${label}"), "{what}");
                    assert!(matches!(
                        matchers[0].op,
                        promql_parser::label::MatchOp::Re(_)
                    ));
                }
                let is_rate = matches!(function, Some("rate" | "increase"));
                assert_eq!(is_rate, seconds.is_some(), "{what}: {name}");
                // This one is a gauge with the name of a counter.
                if name.ends_with("_total") && name != "aria_scheduler_jobs_total" {
                    assert!(is_rate, "{what}: {name}");
                }
                if let Some(seconds) = seconds.filter(|seconds| format!("{seconds}s") != MAGIC) {
                    windows.insert((dashboard.uid.clone(), panel.title.clone(), seconds));
                }
            }
        }
    }
    // These panels set a window themselves; all others use `$__rate_interval`.
    let windows: Vec<_> = windows
        .iter()
        .map(|(uid, title, seconds)| (uid.as_str(), title.as_str(), *seconds))
        .collect();
    assert_eq!(
        windows,
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

#[test]
fn api_json_wraps_the_import_json() {
    let apis = files_ending(".api.json");
    for (path, text) in apis {
        let api: BTreeMap<String, Value> = serde_json::from_str(&text).unwrap();
        assert_eq!(api.keys().collect::<Vec<_>>(), ["dashboard", "overwrite"]);
        let page = path.to_string_lossy().replace(".api.json", ".json");
        let page: Value =
            serde_json::from_str(&generated::files()[std::path::Path::new(&page)]).unwrap();
        assert_eq!(api["dashboard"], page);
    }
}

/// Every family has a panel, and no panel queries another one.
#[test]
fn of_families_shows_every_family() {
    let http = HttpMetrics::server().families().unwrap();
    let of_app = families::aria().into_iter().chain(families::cache());
    let families: Vec<_> = of_app.chain(families::process()).chain(http).collect();
    let dashboard = parsed(
        &Made::of_families("all", "All", families.clone())
            .to_json()
            .unwrap(),
    );
    let asked: BTreeSet<_> = dashboard
        .drawn()
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
    assert_eq!(asked, defined);
}

/// The overflow metric has no prefix and does not count.
#[test]
fn of_families_leaves_the_shared_prefix_out_of_titles() {
    let http = HttpMetrics::server().prefix("shop");
    let json = Made::of_families("shop", "Shop", http.families().unwrap())
        .to_json()
        .unwrap();
    // The shared prefix is `shop_http_`.
    assert!(json.contains(r#""title": "Requests""#), "{json}");
    assert!(
        json.contains(r#""title": "Metrics label overflow""#),
        "{json}"
    );
    assert!(!json.contains(r#""title": "Shop "#), "{json}");
}

/// The dashboard of a layer has every family that the layer records.
#[test]
fn layer_dashboards_show_every_family() {
    let http = HttpMetrics::server()
        .measure(HttpMetric::HeadDuration)
        .measure(HttpMetric::ResponseBodySize)
        .with_request_body();
    let json = Made::http("shop", "Shop", &http)
        .unwrap()
        .to_json()
        .unwrap();
    let http: &HttpMetrics = http.as_ref();
    for family in http.families().unwrap() {
        assert!(json.contains(&family.name), "{}", family.name);
    }
    let json = Made::grpc("grpc", "gRPC", &tower_prometheus::GrpcMetrics::client()).unwrap();
    let json = json.to_json().unwrap();
    for family in tower_prometheus::GrpcMetrics::client().families().unwrap() {
        assert!(json.contains(&family.name), "{}", family.name);
    }
}

/// Texts for values, the scale, the tags and the time range.
#[test]
fn panel_settings_are_in_the_json() {
    use tower_prometheus_mixin::{Panel, PanelUnit, Query};
    let state = Panel::stat("Circuit breaker", PanelUnit::Count)
        .description("Open: the model fails, and requests to it are refused at once.")
        .text(0.0, "closed")
        .text(1.0, "open")
        .text(2.0, "half-open")
        .max(2.0)
        .query(Query::value("aria_llm_circuit_breaker_state").max_by(["model"]));
    let made = Made::new("state", "State", families::aria())
        .tag("llm")
        .time_range("6h")
        .panel(state);
    let dashboard = parsed(&made.to_json().unwrap());
    assert_eq!(dashboard.tags, ["llm"]);
    assert_eq!(dashboard.time.from, "now-6h");
    let panel = &dashboard.panels[0];
    let defaults = &panel.field_config.as_ref().unwrap().defaults;
    assert_eq!((defaults.min, defaults.max), (None, Some(2.0)));
    let expected = serde_json::json!([{
        "type": "value",
        "options": {
            "0": { "text": "closed", "index": 0 },
            "1": { "text": "open", "index": 1 },
            "2": { "text": "half-open", "index": 2 },
        },
    }]);
    assert_eq!(Value::from(defaults.mappings.clone()), expected);
    assert_eq!(panel.targets[0].legend_format, "{{model}}");
}
