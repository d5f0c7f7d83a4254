//! [`Panel`] and [`Row`]: what a dashboard shows.

use std::collections::BTreeSet;

use super::expression::Place;
use super::grafana;
use super::query::Query;
use super::selector::listed;
use crate::Error;

/// A row of a dashboard, with its panels below it.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a row does nothing until a dashboard has it"]
pub struct Row {
    pub(super) title: String,
    pub(super) panels: Vec<Panel>,
}

impl Row {
    /// An empty row.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            panels: Vec::new(),
        }
    }

    /// Adds a panel to the right of those before it, or below them where there is no room.
    pub fn panel(mut self, panel: Panel) -> Self {
        self.panels.push(panel);
        self
    }
}

/// A panel of a dashboard.
///
/// It needs a title, a unit, a description that says what to do about what it shows, and a query; a
/// dashboard with a panel that lacks one is an error.
///
/// ```
/// use tower_prometheus::mixin::{Panel, PanelUnit, Query, Severity};
///
/// let errors = Panel::time_series("Error ratio", PanelUnit::Ratio)
///     .description("Requests that failed. Above 1 %: look at the endpoint that stands out.")
///     .threshold(0.01, Severity::Warning)
///     .threshold(0.1, Severity::Critical)
///     .query(Query::rate("http_requests_total").matching("status", "5..").by(["endpoint"]));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a panel does nothing until a dashboard has it"]
pub struct Panel {
    pub(super) title: String,
    kind: grafana::PanelKind,
    description: String,
    unit: PanelUnit,
    queries: Vec<Query>,
    thresholds: Vec<(f64, Severity)>,
    texts: Vec<(f64, String)>,
    range: (Option<f64>, Option<f64>),
    stacked: bool,
    pub(super) size: (u32, u32),
}

/// How numbers of a panel are written; by Grafana's names in [`PanelUnit::Other`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PanelUnit {
    /// A number of things.
    Count,
    /// Requests a second.
    RequestsPerSecond,
    /// Anything else that happens, a second.
    EventsPerSecond,
    /// Seconds; Grafana chooses the prefix.
    Seconds,
    /// Bytes, with binary prefixes.
    Bytes,
    /// Bytes a second.
    BytesPerSecond,
    /// Mebibytes.
    Mebibytes,
    /// From 0 to 1, shown as per cent.
    Ratio,
    /// From 0 to 100.
    Percent,
    /// US dollars.
    Dollars,
    /// A moment, from milliseconds.
    Moment,
    /// 0 is no, 1 is yes.
    YesNo,
    /// Any other unit of Grafana, by its identifier.
    Other(&'static str),
}

impl PanelUnit {
    fn id(self) -> &'static str {
        match self {
            Self::Count => "short",
            Self::RequestsPerSecond => "reqps",
            Self::EventsPerSecond => "ops",
            Self::Seconds => "s",
            Self::Bytes => "bytes",
            Self::BytesPerSecond => "binBps",
            Self::Mebibytes => "mbytes",
            Self::Ratio => "percentunit",
            Self::Percent => "percent",
            Self::Dollars => "currencyUSD",
            Self::Moment => "dateTimeAsIso",
            Self::YesNo => "bool_yes_no",
            Self::Other(id) => id,
        }
    }
}

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Severity {
    /// Nothing to do about; green in a panel.
    Info,
    /// To look at in working hours; yellow in a panel.
    Warning,
    /// To look at now; red in a panel.
    Critical,
}

impl Severity {
    fn colour(self) -> &'static str {
        match self {
            Self::Info => "green",
            Self::Warning => "yellow",
            Self::Critical => "red",
        }
    }

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl Panel {
    /// Lines over time.
    pub fn time_series(title: impl Into<String>, unit: PanelUnit) -> Self {
        Self::new(title.into(), unit, grafana::PanelKind::Timeseries, (12, 8))
    }

    /// One number, as it is now.
    pub fn stat(title: impl Into<String>, unit: PanelUnit) -> Self {
        Self::new(title.into(), unit, grafana::PanelKind::Stat, (4, 4))
    }

    /// One number on a dial.
    pub fn gauge(title: impl Into<String>, unit: PanelUnit) -> Self {
        Self::new(title.into(), unit, grafana::PanelKind::Gauge, (6, 8))
    }

    /// A bar for each series.
    pub fn bar_gauge(title: impl Into<String>, unit: PanelUnit) -> Self {
        Self::new(title.into(), unit, grafana::PanelKind::Bargauge, (12, 8))
    }

    /// A slice for each series.
    pub fn pie_chart(title: impl Into<String>, unit: PanelUnit) -> Self {
        Self::new(title.into(), unit, grafana::PanelKind::Piechart, (12, 8))
    }

    /// A line of a table for each series.
    pub fn table(title: impl Into<String>, unit: PanelUnit) -> Self {
        Self::new(title.into(), unit, grafana::PanelKind::Table, (12, 8))
    }

    fn new(title: String, unit: PanelUnit, kind: grafana::PanelKind, size: (u32, u32)) -> Self {
        Self {
            title,
            kind,
            description: String::new(),
            unit,
            queries: Vec::new(),
            thresholds: Vec::new(),
            texts: Vec::new(),
            range: (None, None),
            stacked: false,
            size,
        }
    }

    /// What it shows, and what to do about it.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Adds a query; most panels have one, quantiles of one thing three.
    pub fn query(mut self, query: Query) -> Self {
        self.queries.push(query);
        self
    }

    /// From this value on it is that bad.
    pub fn threshold(mut self, from: f64, severity: Severity) -> Self {
        self.thresholds.push((from, severity));
        self
    }

    /// Shows a text instead of a value, for states.
    pub fn text(mut self, value: f64, text: impl Into<String>) -> Self {
        self.texts.push((value, text.into()));
        self
    }

    /// The least value of its scale.
    pub fn min(mut self, min: f64) -> Self {
        self.range.0 = Some(min);
        self
    }

    /// The largest value of its scale.
    pub fn max(mut self, max: f64) -> Self {
        self.range.1 = Some(max);
        self
    }

    /// Lines on top of each other, for parts of a whole.
    pub fn stacked(mut self) -> Self {
        self.stacked = true;
        self
    }

    /// How many of a dashboard's 24 columns it takes, and how many of its lines; a line is 30 pixels.
    pub fn size(mut self, columns: u32, lines: u32) -> Self {
        self.size = (columns, lines);
        self
    }

    /// The families that it asks for.
    pub(super) fn families(&self) -> impl Iterator<Item = &str> {
        self.queries.iter().filter_map(|query| query.node.family())
    }

    /// As Grafana reads it.
    pub(super) fn written(
        &self,
        place: &Place<'_>,
        id: u32,
        grid_pos: grafana::GridPos,
    ) -> Result<grafana::Panel, Error> {
        self.check()?;
        let mut targets = Vec::new();
        for (query, ref_id) in self.queries.iter().zip('A'..='Z') {
            let target = self.target(query, ref_id, place)?;
            targets.push(target);
        }
        Ok(grafana::Panel {
            id,
            kind: self.kind,
            title: self.title.clone(),
            description: self.description.clone(),
            grid_pos,
            datasource: grafana::DataSource::variable(),
            targets,
            field_config: self.field_config(),
            options: self.kind.options(),
            transformations: self.kind.transformations(),
        })
    }

    fn check(&self) -> Result<(), Error> {
        let missing = [
            ("title", self.title.is_empty()),
            ("description", self.description.is_empty()),
            ("query", self.queries.is_empty()),
        ];
        if let Some((what, _)) = missing.into_iter().find(|(_, missing)| *missing) {
            return Err(Error::new(format!("it has no {what}")));
        }
        if self.queries.len() > 26 {
            return Err(Error::new("it has more than 26 queries"));
        }
        if self.thresholds.windows(2).any(|two| two[0].0 >= two[1].0) {
            return Err(Error::new("its thresholds do not rise"));
        }
        Ok(())
    }

    fn target(
        &self,
        query: &Query,
        ref_id: char,
        place: &Place<'_>,
    ) -> Result<grafana::Target, Error> {
        let written = query.node.written(place)?;
        let labels = written.labels.unwrap_or_default();
        let legend = match &query.legend {
            Some(legend) => {
                check_placeholders(legend, &labels)?;
                legend.clone()
            }
            None => {
                let shown = labels.iter().filter(|label| *label != "job");
                let shown: Vec<_> = shown.map(|label| format!("{{{{{label}}}}}")).collect();
                match shown.is_empty() {
                    true => self.title.clone(),
                    false => shown.join(" "),
                }
            }
        };
        let instant = self.kind != grafana::PanelKind::Timeseries;
        Ok(grafana::Target {
            ref_id,
            datasource: grafana::DataSource::variable(),
            expr: written.text,
            legend_format: legend,
            instant,
            range: !instant,
            format: match self.kind {
                grafana::PanelKind::Table => "table",
                _ => "time_series",
            },
        })
    }

    fn field_config(&self) -> grafana::FieldConfig {
        let base = grafana::Step {
            color: "green",
            value: None,
        };
        let steps = self
            .thresholds
            .iter()
            .map(|(from, severity)| grafana::Step {
                color: severity.colour(),
                value: Some(*from),
            });
        let has_thresholds = !self.thresholds.is_empty();
        let draws_lines = self.kind == grafana::PanelKind::Timeseries;
        grafana::FieldConfig::new(grafana::Defaults {
            unit: self.unit.id(),
            min: self.range.0,
            max: self.range.1,
            color: grafana::Colour {
                mode: match (self.kind, has_thresholds) {
                    (grafana::PanelKind::Timeseries | grafana::PanelKind::Piechart, _)
                    | (_, false) => "palette-classic",
                    _ => "thresholds",
                },
            },
            thresholds: grafana::Thresholds {
                mode: "absolute",
                steps: std::iter::once(base).chain(steps).collect(),
            },
            mappings: grafana::Mapping::values(&self.texts),
            custom: draws_lines.then(|| grafana::Lines::new(self.stacked, has_thresholds)),
        })
    }
}

/// Refuses `{{label}}` for a label that the series do not have.
fn check_placeholders(legend: &str, labels: &BTreeSet<String>) -> Result<(), Error> {
    for part in legend.split("{{").skip(1) {
        let label = part.split("}}").next().unwrap_or_default().trim();
        if !labels.contains(label) {
            return Err(Error::new(format!(
                "its legend {legend:?} names the label {label:?}, which is not left; there is {}",
                listed(labels)
            )));
        }
    }
    Ok(())
}
