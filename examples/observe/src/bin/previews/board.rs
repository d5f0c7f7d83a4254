//! The parts of a dashboard's JSON that a picture needs.

use serde::Deserialize;

#[derive(Deserialize)]
pub(crate) struct Board {
    pub(crate) uid: String,
    pub(crate) title: String,
    pub(crate) panels: Vec<Panel>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Panel {
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
    pub(crate) title: String,
    pub(crate) grid_pos: GridPos,
    #[serde(default)]
    pub(crate) field_config: FieldConfig,
    /// Empty for rows.
    #[serde(default)]
    pub(crate) targets: Vec<Target>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Row,
    Timeseries,
    Stat,
    Gauge,
    Bargauge,
    Piechart,
    Table,
}

#[derive(Clone, Copy, Deserialize)]
pub(crate) struct GridPos {
    pub(crate) h: i32,
    pub(crate) w: i32,
    pub(crate) x: i32,
    pub(crate) y: i32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Target {
    pub(crate) expr: String,
    pub(crate) legend_format: String,
}

#[derive(Default, Deserialize)]
pub(crate) struct FieldConfig {
    pub(crate) defaults: Defaults,
}

#[derive(Default, Deserialize)]
pub(crate) struct Defaults {
    pub(crate) unit: String,
    pub(crate) max: Option<f64>,
    #[serde(default)]
    thresholds: Thresholds,
    #[serde(default)]
    custom: Custom,
}

#[derive(Default, Deserialize)]
struct Thresholds {
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    color: String,
    value: Option<f64>,
}

#[derive(Default, Deserialize)]
struct Custom {
    stacking: Stacking,
}

#[derive(Default, Deserialize)]
struct Stacking {
    mode: String,
}

impl Panel {
    pub(crate) fn is_stacked(&self) -> bool {
        self.field_config.defaults.custom.stacking.mode == "normal"
    }

    /// Returns the colour of a value by the thresholds of the panel.
    pub(crate) fn colour(&self, value: f64) -> &str {
        let steps = &self.field_config.defaults.thresholds.steps;
        let reached = |step: &&Step| step.value.is_none_or(|from| value >= from);
        let step = steps.iter().rfind(reached);
        step.map_or("green", |step| &step.color)
    }
}

impl Board {
    /// Returns the height in rows of Grafana's grid.
    pub(crate) fn height(&self) -> i32 {
        let ends = self.panels.iter().map(|panel| panel.grid_pos);
        ends.map(|grid| grid.y + grid.h).max().unwrap_or(0)
    }
}
