//! Types for Grafana's JSON model of dashboards, as far as this crate uses it.
//!
//! The schema is that of Grafana 10 (`schemaVersion` 38). Later versions read and migrate it.

use serde::Serialize;
use serde_json::{Value, json};

/// The width of the grid in columns.
pub(crate) const COLUMNS: u32 = 24;

/// The ids of generated panels are multiples of this number. Grafana gives a new panel the largest id plus 1, so the ids of
/// panels that were added in Grafana are not.
pub(crate) const ID_STEP: u32 = 1000;

/// The variables that generated dashboards have.
pub(crate) const VARIABLES: [&str; 3] = ["datasource", "job", "instance"];

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DashboardJson {
    /// Always `None`: Grafana assigns the database id.
    pub(crate) id: Option<u32>,
    pub(crate) uid: String,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) tags: Vec<String>,
    pub(crate) timezone: &'static str,
    pub(crate) editable: bool,
    /// 1: all panels share the crosshair.
    pub(crate) graph_tooltip: u8,
    pub(crate) time: TimeRange,
    pub(crate) refresh: String,
    pub(crate) schema_version: u32,
    pub(crate) templating: List<Variable>,
    pub(crate) annotations: List<Value>,
    pub(crate) links: Vec<Value>,
    pub(crate) panels: Vec<Item>,
}

/// The body of `POST /api/dashboards/db`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ApiRequest<'a> {
    pub(crate) dashboard: &'a DashboardJson,
    pub(crate) overwrite: bool,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct TimeRange {
    pub(crate) from: String,
    pub(crate) to: &'static str,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct List<T> {
    pub(crate) list: Vec<T>,
}

/// A variable of the dashboard: the data source, the values of a label, or a custom one.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Variable {
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
        /// 2: reloaded when the time range changes.
        refresh: u8,
        hide: u8,
        /// 1: alphabetical.
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
    #[serde(untagged)]
    Custom(Value),
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VariableQuery {
    query: String,
    ref_id: &'static str,
}

/// The initial value of a variable.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Current {
    Default {},
    All {
        selected: bool,
        text: [&'static str; 1],
        value: [&'static str; 1],
    },
}

impl Variable {
    pub(crate) fn data_source() -> Self {
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

    pub(crate) fn label(name: &'static str, label: &'static str, definition: String) -> Self {
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

/// A reference to the dashboard's variable `datasource`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct DataSource {
    #[serde(rename = "type")]
    kind: &'static str,
    uid: &'static str,
}

impl DataSource {
    pub(crate) fn variable() -> Self {
        Self {
            kind: "prometheus",
            uid: "${datasource}",
        }
    }
}

/// A row or a panel. Grafana's model has both in one list.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Item {
    Row(RowJson),
    Panel(Box<PanelJson>),
    /// A row or a panel that was added in Grafana.
    Custom(Value),
}

impl Item {
    pub(crate) fn row(id: u32, title: &str, y: u32) -> Self {
        Self::Row(RowJson {
            id,
            kind: "row",
            title: title.to_owned(),
            collapsed: false,
            grid_pos: GridPos {
                h: 1,
                w: COLUMNS,
                x: 0,
                y,
            },
            panels: [],
        })
    }
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RowJson {
    pub(crate) id: u32,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) title: String,
    pub(crate) collapsed: bool,
    pub(crate) grid_pos: GridPos,
    /// Always empty: only a collapsed row contains its panels.
    pub(crate) panels: [(); 0],
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PanelJson {
    pub(crate) id: u32,
    #[serde(rename = "type")]
    pub(crate) kind: PanelKind,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) grid_pos: GridPos,
    pub(crate) datasource: DataSource,
    pub(crate) targets: Vec<Target>,
    pub(crate) field_config: FieldConfig,
    pub(crate) options: Options,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) transformations: Vec<Transformation>,
}

/// Position and size of a panel in the grid of 24 columns.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct GridPos {
    pub(crate) h: u32,
    pub(crate) w: u32,
    pub(crate) x: u32,
    pub(crate) y: u32,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Target {
    pub(crate) ref_id: char,
    pub(crate) datasource: DataSource,
    pub(crate) expr: String,
    pub(crate) legend_format: String,
    pub(crate) instant: bool,
    pub(crate) range: bool,
    pub(crate) format: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PanelKind {
    Timeseries,
    Stat,
    Gauge,
    Bargauge,
    Piechart,
    Table,
    Heatmap,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct FieldConfig {
    defaults: Defaults,
    overrides: [(); 0],
}

impl FieldConfig {
    pub(crate) fn new(defaults: Defaults) -> Self {
        Self {
            defaults,
            overrides: [],
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Defaults {
    pub(crate) unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) min: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max: Option<f64>,
    pub(crate) color: ColorMode,
    pub(crate) thresholds: Thresholds,
    pub(crate) mappings: Vec<Mapping>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) custom: Option<LineStyle>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct ColorMode {
    pub(crate) mode: &'static str,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Thresholds {
    pub(crate) mode: &'static str,
    pub(crate) steps: Vec<Step>,
}

/// A color for values from `value` upwards. The first step has no value.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Step {
    pub(crate) color: &'static str,
    pub(crate) value: Option<f64>,
}

/// A mapping of values to texts.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Mapping {
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
    pub(crate) fn values(texts: &[(f64, String)]) -> Vec<Self> {
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

/// The style of the lines of a time series panel.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LineStyle {
    draw_style: &'static str,
    line_width: u8,
    fill_opacity: u8,
    show_points: &'static str,
    stacking: Stacking,
    thresholds_style: ThresholdsStyle,
}

#[derive(Clone, Debug, Serialize)]
struct Stacking {
    mode: &'static str,
    group: &'static str,
}

#[derive(Clone, Debug, Serialize)]
struct ThresholdsStyle {
    mode: &'static str,
}

impl LineStyle {
    pub(crate) fn new(stacked: bool, has_thresholds: bool) -> Self {
        Self {
            draw_style: "line",
            line_width: 1,
            fill_opacity: if stacked { 50 } else { 10 },
            show_points: "never",
            stacking: Stacking {
                mode: if stacked { "normal" } else { "none" },
                group: "A",
            },
            thresholds_style: ThresholdsStyle {
                mode: if has_thresholds { "line" } else { "off" },
            },
        }
    }
}

/// The options of each kind of panel.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub(crate) enum Options {
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
    Heatmap(Value),
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Legend {
    display_mode: &'static str,
    placement: &'static str,
    show_legend: bool,
    calcs: [(); 0],
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Tooltip {
    mode: &'static str,
    sort: &'static str,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Reduce {
    calcs: [&'static str; 1],
    fields: &'static str,
    values: bool,
}

/// A transformation of the query result before it is shown.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Transformation {
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
    /// Returns the options. `unit` is that of the axis of a heat map.
    pub(crate) fn options(self, unit: &'static str) -> Options {
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
            Self::Heatmap => Options::Heatmap(json!({
                "calculate": false,
                "cellGap": 1,
                "color": {
                    "mode": "scheme",
                    "scheme": "Oranges",
                    "scale": "exponential",
                    "exponent": 0.5,
                    "steps": 64,
                    "fill": "dark-orange",
                    "reverse": false,
                },
                "filterValues": { "le": 1e-9 },
                "legend": { "show": true },
                "rowsFrame": { "layout": "auto" },
                "tooltip": { "show": true, "mode": "single", "yHistogram": false },
                "yAxis": { "axisPlacement": "left", "reverse": false, "unit": unit },
            })),
        }
    }

    /// Returns the transformation for a table, which hides the time and the metric name.
    pub(crate) fn transformations(self) -> Vec<Transformation> {
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
