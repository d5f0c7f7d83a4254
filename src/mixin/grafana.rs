//! Grafana's dashboards as types: the part of its model that this crate writes.
//!
//! By the schema of Grafana 10 (`schemaVersion` 38), which later versions read and bring up to date.

use serde::Serialize;

/// A dashboard.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Dashboard {
    /// Grafana gives it one.
    pub(super) id: Option<u32>,
    pub(super) uid: String,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) tags: Vec<String>,
    pub(super) timezone: &'static str,
    pub(super) editable: bool,
    /// 1: one cross-hair for all panels.
    pub(super) graph_tooltip: u8,
    pub(super) time: Time,
    pub(super) refresh: String,
    pub(super) schema_version: u32,
    pub(super) templating: List<Variable>,
    pub(super) annotations: List<Annotation>,
    pub(super) links: [(); 0],
    pub(super) panels: Vec<Item>,
}

/// What Grafana's API takes: `POST /api/dashboards/db`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Wrapped<'a> {
    pub(super) dashboard: &'a Dashboard,
    pub(super) overwrite: bool,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Time {
    pub(super) from: String,
    pub(super) to: &'static str,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct List<T> {
    pub(super) list: Vec<T>,
}

/// Dashboards of this crate have none.
#[derive(Clone, Debug, Serialize)]
pub(super) enum Annotation {}

/// A variable: the data source, or values of a label.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum Variable {
    Datasource {
        name: &'static str,
        label: &'static str,
        query: &'static str,
        refresh: u8,
        hide: u8,
        multi: bool,
        #[serde(rename = "includeAll")]
        include_all: bool,
        options: [(); 0],
        regex: &'static str,
        current: Current,
    },
    Query {
        name: &'static str,
        label: &'static str,
        datasource: DataSource,
        query: VariableQuery,
        definition: String,
        /// 2: when the time range changes.
        refresh: u8,
        hide: u8,
        /// 1: by the alphabet.
        sort: u8,
        multi: bool,
        #[serde(rename = "includeAll")]
        include_all: bool,
        #[serde(rename = "allValue")]
        all_value: &'static str,
        options: [(); 0],
        regex: &'static str,
        current: Current,
    },
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct VariableQuery {
    query: String,
    ref_id: &'static str,
}

/// What a variable is at first.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Current {
    Default {},
    All {
        selected: bool,
        text: [&'static str; 1],
        value: [&'static str; 1],
    },
}

impl Variable {
    pub(super) fn data_source() -> Self {
        Self::Datasource {
            name: "datasource",
            label: "Data source",
            query: "prometheus",
            refresh: 1,
            hide: 0,
            multi: false,
            include_all: false,
            options: [],
            regex: "",
            current: Current::Default {},
        }
    }

    pub(super) fn label(name: &'static str, label: &'static str, definition: String) -> Self {
        Self::Query {
            name,
            label,
            datasource: DataSource::variable(),
            query: VariableQuery {
                query: definition.clone(),
                ref_id: "StandardVariableQuery",
            },
            definition,
            refresh: 2,
            hide: 0,
            sort: 1,
            multi: true,
            include_all: true,
            all_value: ".+",
            options: [],
            regex: "",
            current: Current::All {
                selected: true,
                text: ["All"],
                value: ["$__all"],
            },
        }
    }
}

/// What panels ask: whatever the variable says.
#[derive(Clone, Debug, Serialize)]
pub(super) struct DataSource {
    #[serde(rename = "type")]
    kind: &'static str,
    uid: &'static str,
}

impl DataSource {
    pub(super) fn variable() -> Self {
        Self {
            kind: "prometheus",
            uid: "${datasource}",
        }
    }
}

/// A row or a panel: Grafana keeps them in one list.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Item {
    Row(Row),
    Panel(Box<Panel>),
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    pub(super) id: u32,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) title: String,
    pub(super) collapsed: bool,
    pub(super) grid_pos: GridPos,
    /// Only collapsed rows hold their panels.
    pub(super) panels: [(); 0],
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Panel {
    pub(super) id: u32,
    #[serde(rename = "type")]
    pub(super) kind: PanelKind,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) grid_pos: GridPos,
    pub(super) datasource: DataSource,
    pub(super) targets: Vec<Target>,
    pub(super) field_config: FieldConfig,
    pub(super) options: Options,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) transformations: Vec<Transformation>,
}

/// Where a panel is, in a grid of 24 columns.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct GridPos {
    pub(super) h: u32,
    pub(super) w: u32,
    pub(super) x: u32,
    pub(super) y: u32,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Target {
    pub(super) ref_id: char,
    pub(super) datasource: DataSource,
    pub(super) expr: String,
    pub(super) legend_format: String,
    pub(super) instant: bool,
    pub(super) range: bool,
    pub(super) format: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum PanelKind {
    Timeseries,
    Stat,
    Gauge,
    Bargauge,
    Piechart,
    Table,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct FieldConfig {
    defaults: Defaults,
    overrides: [(); 0],
}

impl FieldConfig {
    pub(super) fn new(defaults: Defaults) -> Self {
        Self {
            defaults,
            overrides: [],
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Defaults {
    pub(super) unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) min: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max: Option<f64>,
    pub(super) color: Colour,
    pub(super) thresholds: Thresholds,
    pub(super) mappings: Vec<Mapping>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) custom: Option<Lines>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Colour {
    pub(super) mode: &'static str,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Thresholds {
    pub(super) mode: &'static str,
    pub(super) steps: Vec<Step>,
}

/// A colour from a value on; the first has none.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Step {
    pub(super) color: &'static str,
    pub(super) value: Option<f64>,
}

/// Texts instead of values.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Mapping {
    #[serde(rename = "type")]
    kind: &'static str,
    options: std::collections::BTreeMap<String, MappedText>,
}

#[derive(Clone, Debug, Serialize)]
struct MappedText {
    text: String,
    index: usize,
}

impl Mapping {
    pub(super) fn values(texts: &[(f64, String)]) -> Vec<Self> {
        if texts.is_empty() {
            return Vec::new();
        }
        let options = texts.iter().enumerate().map(|(index, (value, text))| {
            let text = text.clone();
            (value.to_string(), MappedText { text, index })
        });
        vec![Self {
            kind: "value",
            options: options.collect(),
        }]
    }
}

/// How lines over time are drawn.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Lines {
    draw_style: &'static str,
    line_width: u8,
    fill_opacity: u8,
    show_points: &'static str,
    stacking: Stacking,
    thresholds_style: Mode,
}

#[derive(Clone, Debug, Serialize)]
struct Stacking {
    mode: &'static str,
    group: &'static str,
}

#[derive(Clone, Debug, Serialize)]
struct Mode {
    mode: &'static str,
}

impl Lines {
    pub(super) fn new(stacked: bool, has_thresholds: bool) -> Self {
        Self {
            draw_style: "line",
            line_width: 1,
            fill_opacity: if stacked { 50 } else { 10 },
            show_points: "never",
            stacking: Stacking {
                mode: if stacked { "normal" } else { "none" },
                group: "A",
            },
            thresholds_style: Mode {
                mode: if has_thresholds { "line" } else { "off" },
            },
        }
    }
}

/// What each kind of panel can be told.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub(super) enum Options {
    Timeseries {
        legend: Legend,
        tooltip: Tooltip,
    },
    Stat {
        reduce_options: Reduce,
        orientation: &'static str,
        text_mode: &'static str,
        color_mode: &'static str,
        graph_mode: &'static str,
        justify_mode: &'static str,
    },
    Gauge {
        reduce_options: Reduce,
        orientation: &'static str,
        show_threshold_labels: bool,
        show_threshold_markers: bool,
    },
    Bargauge {
        reduce_options: Reduce,
        orientation: &'static str,
        display_mode: &'static str,
        show_unfilled: bool,
    },
    Piechart {
        reduce_options: Reduce,
        pie_type: &'static str,
        display_labels: [&'static str; 1],
        legend: Legend,
        tooltip: Tooltip,
    },
    Table {
        show_header: bool,
        cell_height: &'static str,
    },
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Legend {
    display_mode: &'static str,
    placement: &'static str,
    show_legend: bool,
    calcs: [(); 0],
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Tooltip {
    mode: &'static str,
    sort: &'static str,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Reduce {
    calcs: [&'static str; 1],
    fields: &'static str,
    values: bool,
}

/// What is done to an answer before it is shown.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Transformation {
    id: &'static str,
    options: Organize,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Organize {
    exclude_by_name: std::collections::BTreeMap<&'static str, bool>,
    index_by_name: std::collections::BTreeMap<&'static str, u8>,
    rename_by_name: std::collections::BTreeMap<&'static str, &'static str>,
}

impl PanelKind {
    pub(super) fn options(self) -> Options {
        let legend = |placement, display_mode| Legend {
            display_mode,
            placement,
            show_legend: true,
            calcs: [],
        };
        let last = Reduce {
            calcs: ["lastNotNull"],
            fields: "",
            values: false,
        };
        match self {
            Self::Timeseries => Options::Timeseries {
                legend: legend("bottom", "list"),
                tooltip: Tooltip {
                    mode: "multi",
                    sort: "desc",
                },
            },
            Self::Stat => Options::Stat {
                reduce_options: last,
                orientation: "auto",
                text_mode: "auto",
                color_mode: "value",
                graph_mode: "none",
                justify_mode: "auto",
            },
            Self::Gauge => Options::Gauge {
                reduce_options: last,
                orientation: "auto",
                show_threshold_labels: false,
                show_threshold_markers: true,
            },
            Self::Bargauge => Options::Bargauge {
                reduce_options: last,
                orientation: "horizontal",
                display_mode: "gradient",
                show_unfilled: true,
            },
            Self::Piechart => Options::Piechart {
                reduce_options: last,
                pie_type: "pie",
                display_labels: ["percent"],
                legend: legend("right", "table"),
                tooltip: Tooltip {
                    mode: "single",
                    sort: "none",
                },
            },
            Self::Table => Options::Table {
                show_header: true,
                cell_height: "sm",
            },
        }
    }

    /// A table is about labels and a value, not about when and what Prometheus added.
    pub(super) fn transformations(self) -> Vec<Transformation> {
        if self != Self::Table {
            return Vec::new();
        }
        let hidden = ["Time", "__name__"].map(|name| (name, true));
        vec![Transformation {
            id: "organize",
            options: Organize {
                exclude_by_name: hidden.into(),
                index_by_name: [].into(),
                rename_by_name: [].into(),
            },
        }]
    }
}
