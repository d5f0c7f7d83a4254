//! Checks of Grafana dashboards against Grafana's schema and the rules of its linter.

use std::collections::{BTreeMap, BTreeSet};

use promql_parser::label::MatchOp;
use promql_parser::parser::{self, Expr, VectorSelector};
use serde::Deserialize;
use serde_json::Value;

/// The part of Grafana's dashboard model that the mixin writes. An unknown key or a wrong type is an error.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Dashboard {
    pub id: Option<u32>,
    pub uid: String,
    pub title: String,
    pub description: String,
    pub tags: Vec<String>,
    pub timezone: String,
    pub editable: bool,
    pub graph_tooltip: u8,
    pub time: Time,
    pub refresh: String,
    pub schema_version: u32,
    pub templating: List<Variable>,
    pub annotations: List<Value>,
    pub links: Vec<Value>,
    pub panels: Vec<Panel>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Time {
    pub from: String,
    pub to: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List<T> {
    pub list: Vec<T>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Variable {
    #[serde(rename = "type")]
    pub kind: String,
    pub name: String,
    pub label: String,
    pub datasource: Option<DataSource>,
    pub query: Value,
    pub definition: Option<String>,
    pub refresh: u8,
    pub hide: u8,
    pub sort: Option<u8>,
    pub multi: bool,
    pub include_all: bool,
    pub all_value: Option<String>,
    pub options: Vec<Value>,
    pub regex: String,
    pub current: Value,
}

#[derive(Deserialize, PartialEq, Debug)]
#[serde(deny_unknown_fields)]
pub struct DataSource {
    #[serde(rename = "type")]
    pub kind: String,
    pub uid: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Panel {
    pub id: u32,
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub grid_pos: GridPos,
    // Rows only.
    pub collapsed: Option<bool>,
    pub panels: Option<Vec<Value>>,
    // All other panels.
    #[serde(default)]
    pub description: String,
    pub datasource: Option<DataSource>,
    #[serde(default)]
    pub targets: Vec<Target>,
    pub field_config: Option<FieldConfig>,
    pub options: Option<BTreeMap<String, Value>>,
    pub transformations: Option<Vec<Value>>,
}

#[derive(Deserialize, Clone, Copy, Debug)]
#[serde(deny_unknown_fields)]
pub struct GridPos {
    pub h: u32,
    pub w: u32,
    pub x: u32,
    pub y: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    pub ref_id: String,
    pub datasource: DataSource,
    pub expr: String,
    pub legend_format: String,
    pub instant: bool,
    pub range: bool,
    pub format: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldConfig {
    pub defaults: Defaults,
    pub overrides: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    pub unit: String,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub color: BTreeMap<String, String>,
    pub thresholds: Thresholds,
    pub mappings: Vec<Value>,
    pub custom: Option<BTreeMap<String, Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    pub mode: String,
    pub steps: Vec<Step>,
}

#[derive(Deserialize, PartialEq, Debug)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub color: String,
    pub value: Option<f64>,
}

impl Dashboard {
    /// Parses the JSON that Grafana's import page accepts.
    #[track_caller]
    pub fn parse(json: &str) -> Self {
        serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}\n{json}"))
    }

    /// All panels except rows, which only group panels.
    pub fn panels_without_rows(&self) -> impl Iterator<Item = &Panel> {
        self.panels.iter().filter(|panel| panel.kind != "row")
    }

    #[track_caller]
    pub fn panel(&self, title: &str) -> &Panel {
        let panel = self.panels.iter().find(|panel| panel.title == title);
        panel.unwrap_or_else(|| panic!("{} has no panel {title:?}", self.title))
    }

    /// Runs all checks of this module.
    ///
    /// `gauges` are the gauges whose name ends in `_total`. Returns the panels with a range other than
    /// `$__rate_interval`, and that range in seconds.
    #[track_caller]
    pub fn assert_valid(&self, gauges: &[&str]) -> BTreeSet<(String, u64)> {
        self.assert_importable();
        self.assert_no_overlap();
        self.assert_variables();
        self.assert_panels();
        self.assert_queries(gauges)
    }

    /// Asserts that Grafana 10 can import the dashboard.
    #[track_caller]
    pub fn assert_importable(&self) {
        const KINDS: [&str; 7] = [
            "heatmap",
            "timeseries",
            "stat",
            "gauge",
            "bargauge",
            "piechart",
            "table",
        ];
        assert_eq!(self.id, None);
        // The schema version of Grafana 10.0. Later releases migrate it.
        assert_eq!(self.schema_version, 38);
        assert!(self.time.from.starts_with("now-") && self.time.to == "now");
        let ids: BTreeSet<_> = self.panels.iter().map(|panel| panel.id).collect();
        assert_eq!(ids.len(), self.panels.len());
        assert!(!ids.contains(&0));
        for panel in &self.panels {
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
                let over_time = ["timeseries", "heatmap"].contains(&panel.kind.as_str());
                assert_eq!(target.range, over_time, "{}", panel.title);
                assert_eq!(target.format == "table", panel.kind == "table");
                assert!(!target.legend_format.is_empty());
            }
            let config = panel.field_config.as_ref().unwrap();
            assert!(config.overrides.is_empty());
            let Thresholds { mode, steps } = &config.defaults.thresholds;
            assert_eq!(mode, "absolute");
            assert_eq!(
                steps[0].value, None,
                "the first threshold must have no value"
            );
            assert!(steps[1..].windows(2).all(|two| two[0].value < two[1].value));
            assert_eq!(config.defaults.custom.is_some(), panel.kind == "timeseries");
            assert!(!panel.options.as_ref().unwrap().is_empty());
        }
    }

    /// Asserts that panels do not overlap and are within the grid of 24 columns.
    #[track_caller]
    pub fn assert_no_overlap(&self) {
        let mut covered = BTreeSet::new();
        for panel in &self.panels {
            let GridPos { h, w, x, y } = panel.grid_pos;
            assert!(w > 0 && h > 0 && x + w <= 24, "{}", panel.title);
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                assert!(
                    covered.insert(cell),
                    "panel {} of {} overlaps another panel",
                    panel.title,
                    self.title
                );
            }
        }
    }

    /// Asserts the linter's rules for variables: data source, job and instance, reloaded if the time range changes.
    #[track_caller]
    pub fn assert_variables(&self) {
        let variables = &self.templating.list;
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
        assert!(!self.editable, "the linter's uneditable-dashboard rule");
    }

    /// Asserts the linter's rules for panels: data source variable, title, description, a known unit, a query.
    #[track_caller]
    pub fn assert_panels(&self) {
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
        assert!(self.panels_without_rows().count() > 0);
        for panel in self.panels_without_rows() {
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

    /// Asserts the linter's rules for queries: `job` and `instance` in every selector, every counter in a rate.
    ///
    /// Returns the panels with a range other than `$__rate_interval`, and that range in seconds.
    #[track_caller]
    pub fn assert_queries(&self, gauges: &[&str]) -> BTreeSet<(String, u64)> {
        let mut windows = BTreeSet::new();
        for panel in self.panels_without_rows() {
            let what = format!("{} of {}", panel.title, self.title);
            for SelectorUse {
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
                    assert!(matches!(matchers[0].op, MatchOp::Re(_)));
                }
                let is_rate = matches!(function, Some("rate" | "increase"));
                assert_eq!(is_rate, seconds.is_some(), "{what}: {name}");
                if name.ends_with("_total") && !gauges.contains(&name) {
                    assert!(is_rate, "{what}: {name}");
                }
                if let Some(seconds) =
                    seconds.filter(|seconds| format!("{seconds}s") != RATE_INTERVAL)
                {
                    windows.insert((panel.title.clone(), seconds));
                }
            }
        }
        windows
    }
}

/// Replaces `$__rate_interval`, because the parser needs a duration. No dashboard uses this duration.
const RATE_INTERVAL: &str = "7919s";

/// A selector of a PromQL expression, with its surroundings.
#[derive(Debug)]
pub struct SelectorUse {
    pub selector: VectorSelector,
    /// The function that has the selector as its direct argument.
    pub function: Option<&'static str>,
    /// The range in seconds, if it is a range vector.
    pub seconds: Option<u64>,
}

/// Returns every selector of an expression, which may contain `$__rate_interval`.
#[track_caller]
pub fn selectors(promql: &str) -> Vec<SelectorUse> {
    let promql = promql.replace("$__rate_interval", RATE_INTERVAL);
    let expression = parser::parse(&promql).unwrap_or_else(|error| panic!("{promql}: {error}"));
    let mut found = Vec::new();
    collect_selectors(&expression, None, &mut found);
    found
}

fn collect_selectors(
    expression: &Expr,
    function: Option<&'static str>,
    found: &mut Vec<SelectorUse>,
) {
    match expression {
        Expr::Aggregate(of) => collect_selectors(&of.expr, None, found),
        Expr::Unary(of) => collect_selectors(&of.expr, None, found),
        Expr::Paren(of) => collect_selectors(&of.expr, None, found),
        Expr::Binary(of) => {
            collect_selectors(&of.lhs, None, found);
            collect_selectors(&of.rhs, None, found);
        }
        Expr::Call(call) => {
            for argument in &call.args.args {
                collect_selectors(argument, Some(call.func.name), found);
            }
        }
        Expr::VectorSelector(selector) => found.push(SelectorUse {
            selector: selector.clone(),
            function,
            seconds: None,
        }),
        Expr::MatrixSelector(of) => found.push(SelectorUse {
            selector: of.vs.clone(),
            function,
            seconds: Some(of.range.as_secs()),
        }),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) => {}
        Expr::Subquery(_) | Expr::Extension(_) => panic!("{expression}"),
    }
}
