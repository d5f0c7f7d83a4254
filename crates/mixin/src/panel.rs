//! [`Panel`] and [`Row`]: the parts of a dashboard.

use crate::error::Error;
use crate::grafana;
use crate::query::Query;
use crate::selector::QueryScope;
use crate::severity::Severity;
use crate::text::{LabelNames, check_kept};

/// A titled row of panels in a dashboard.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a row does nothing until it is added to a dashboard"]
pub struct Row {
    pub(crate) title: String,
    pub(crate) panels: Vec<Panel>,
}

impl Row {
    /// Creates an empty row.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            panels: Vec::new(),
        }
    }

    /// Adds a panel to the right of the previous one, or below it if the 24 columns of the grid are used.
    pub fn panel(mut self, panel: Panel) -> Self {
        self.panels.push(panel);
        self
    }
}

/// A panel of a dashboard.
///
/// A panel needs a title, a unit, at least one query, and a description that says what to do about the values. If one
/// of them is missing, generating the dashboard returns an error.
///
/// ```
/// use tower_prometheus_mixin::{Panel, PanelUnit, Query, Severity};
///
/// let errors = Panel::time_series("Error ratio", PanelUnit::Ratio)
///     .description("Requests that failed. Above 1 %: look at the endpoint that stands out.")
///     .threshold(0.01, Severity::Warning)
///     .threshold(0.1, Severity::Critical)
///     .query(Query::rate("http_requests_total").matching("status", "5..").by(["endpoint"]));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a panel does nothing until it is added to a dashboard"]
pub struct Panel {
    pub(crate) title: String,
    kind: grafana::PanelKind,
    description: String,
    unit: PanelUnit,
    queries: Vec<Query>,
    thresholds: Vec<(f64, Severity)>,
    texts: Vec<(f64, String)>,
    range: (Option<f64>, Option<f64>),
    stacked: bool,
    /// Whether the description ends with the limit of quantiles of classic buckets.
    has_bucket_limit: bool,
    pub(crate) size: (u32, u32),
}

/// The unit of a panel's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PanelUnit {
    /// A number of items, with SI prefixes.
    Count,
    /// Requests per second.
    RequestsPerSecond,
    /// Other events per second.
    OpsPerSecond,
    /// Seconds. Grafana scales them to ms, min and so on.
    Seconds,
    /// Bytes, with binary prefixes.
    Bytes,
    /// Bytes per second, with binary prefixes.
    BytesPerSecond,
    /// Mebibytes.
    Mebibytes,
    /// A fraction from 0 to 1, shown as a percentage.
    Ratio,
    /// A value from 0 to 100, shown as a percentage.
    Percent,
    /// US dollars.
    Dollars,
    /// A date and time, from Unix milliseconds.
    DateTime,
    /// Yes or no, from 1 or 0.
    Bool,
    /// Another unit, by its identifier in Grafana, such as `"ms"`.
    Other(&'static str),
}

impl PanelUnit {
    fn id(self) -> &'static str {
        match self {
            Self::Count => "short",
            Self::RequestsPerSecond => "reqps",
            Self::OpsPerSecond => "ops",
            Self::Seconds => "s",
            Self::Bytes => "bytes",
            Self::BytesPerSecond => "binBps",
            Self::Mebibytes => "mbytes",
            Self::Ratio => "percentunit",
            Self::Percent => "percent",
            Self::Dollars => "currencyUSD",
            Self::DateTime => "dateTimeAsIso",
            Self::Bool => "bool_yes_no",
            Self::Other(id) => id,
        }
    }
}

impl Panel {
    /// Creates a panel with a line over time for each series. Default size: 12 columns, 8 lines.
    pub fn time_series(title: impl Into<String>, unit: PanelUnit) -> Self {
        Self::new(title.into(), unit, grafana::PanelKind::Timeseries, (12, 8))
    }

    /// Creates a panel with the current value of each series as a number. Default size: 4 columns, 4 lines.
    pub fn stat(title: impl Into<String>, unit: PanelUnit) -> Self {
        Self::new(title.into(), unit, grafana::PanelKind::Stat, (4, 4))
    }

    /// Creates a panel with the current value of each series on a dial. Default size: 6 columns, 8 lines.
    pub fn gauge(title: impl Into<String>, unit: PanelUnit) -> Self {
        Self::new(title.into(), unit, grafana::PanelKind::Gauge, (6, 8))
    }

    /// Creates a panel with a horizontal bar for the current value of each series. Default size: 12 columns, 8 lines.
    pub fn bar_gauge(title: impl Into<String>, unit: PanelUnit) -> Self {
        Self::new(title.into(), unit, grafana::PanelKind::Bargauge, (12, 8))
    }

    /// Creates a pie chart with a slice for the current value of each series. Default size: 12 columns, 8 lines.
    pub fn pie_chart(title: impl Into<String>, unit: PanelUnit) -> Self {
        Self::new(title.into(), unit, grafana::PanelKind::Piechart, (12, 8))
    }

    /// Creates a table with a row for each series: its labels and its current value. Default size: 12 columns, 8 lines.
    pub fn table(title: impl Into<String>, unit: PanelUnit) -> Self {
        Self::new(title.into(), unit, grafana::PanelKind::Table, (12, 8))
    }

    /// Creates a heat map of a histogram: how many observations there are in each bucket over time. Default size: 12 columns,
    /// 8 lines.
    ///
    /// `unit` is that of the observations. The panel has one query, the [`rate`](Query::rate) or the
    /// [`increase`](Query::increase) of a histogram, without other functions than matchers and
    /// [`over`](Query::over): it reads the buckets, native ones if the definitions give the histogram native buckets.
    ///
    /// ```
    /// use tower_prometheus::{HttpMetrics, Registry};
    /// use tower_prometheus_mixin::{Dashboard, Panel, PanelUnit, Query};
    ///
    /// let durations = Panel::heat_map("Durations", PanelUnit::Seconds)
    ///     .description("Requests per second, by duration. Two bands: find out what the slow requests have in common.")
    ///     .query(Query::rate("http_request_duration_seconds").with("endpoint", "/checkout"));
    /// let dashboard = Dashboard::new("shop", "Shop", HttpMetrics::server().families()?).panel(durations);
    /// assert!(dashboard.to_json()?.contains("sum by (le) (rate(http_request_duration_seconds_bucket{"));
    ///
    /// let registry = Registry::builder().native_histograms(1.1).build()?;
    /// assert!(dashboard.histograms_in(&registry).to_json()?.contains("sum(rate(http_request_duration_seconds{"));
    /// # Ok::<(), tower_prometheus_mixin::Error>(())
    /// ```
    pub fn heat_map(title: impl Into<String>, unit: PanelUnit) -> Self {
        Self::new(title.into(), unit, grafana::PanelKind::Heatmap, (12, 8))
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
            has_bucket_limit: false,
            size,
        }
    }

    /// Sets the description: what the panel shows, and what to do about it.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Adds the limit of quantiles to the description, unless the histogram has native buckets, which have no limit.
    pub(crate) fn bucket_limit(mut self) -> Self {
        self.has_bucket_limit = true;
        self
    }

    fn description_in(&self, scope: &QueryScope<'_>) -> String {
        const LIMIT: &str = " The value never exceeds the last finite bucket bound.";
        let family = self.families().next();
        let family = family.and_then(|family| scope.index.family(family).ok());
        let has_limit = self.has_bucket_limit && family.is_some_and(|family| !family.reads_native);
        let limit = if has_limit { LIMIT } else { "" };
        format!("{}{limit}", self.description)
    }

    /// Adds a query. A panel has 1 to 26 queries.
    pub fn query(mut self, query: Query) -> Self {
        self.queries.push(query);
        self
    }

    /// Adds a threshold: values from `from` upwards have the color of this severity. Add thresholds in ascending order.
    ///
    /// Values below all thresholds are green, unless the first one is [`f64::NEG_INFINITY`].
    pub fn threshold(mut self, from: f64, severity: Severity) -> Self {
        self.thresholds.push((from, severity));
        self
    }

    /// Shows a text instead of a value, for gauges whose values are states.
    pub fn text(mut self, value: f64, text: impl Into<String>) -> Self {
        self.texts.push((value, text.into()));
        self
    }

    /// Sets the minimum of the scale. By default, Grafana chooses it.
    pub fn min(mut self, min: f64) -> Self {
        self.range.0 = Some(min);
        self
    }

    /// Sets the maximum of the scale. By default, Grafana chooses it.
    pub fn max(mut self, max: f64) -> Self {
        self.range.1 = Some(max);
        self
    }

    /// Stacks the lines of a time series panel, for series that add up to a total.
    pub fn stacked(mut self) -> Self {
        self.stacked = true;
        self
    }

    /// Sets the width in columns, 1 to 24, and the height in grid lines of 30 pixels.
    pub fn size(mut self, columns: u32, lines: u32) -> Self {
        self.size = (columns, lines);
        self
    }

    /// Returns the first metric family of each query.
    pub(crate) fn families(&self) -> impl Iterator<Item = &str> {
        self.queries
            .iter()
            .filter_map(|query| query.expression.family())
    }

    pub(crate) fn to_json_model(
        &self,
        scope: &QueryScope<'_>,
        id: u32,
        grid_pos: grafana::GridPos,
    ) -> Result<grafana::PanelJson, Error> {
        self.check()?;
        let mut targets = Vec::new();
        for (query, ref_id) in self.queries.iter().zip('A'..='Z') {
            let target = self.target(query, ref_id, scope)?;
            targets.push(target);
        }
        Ok(grafana::PanelJson {
            id,
            kind: self.kind,
            title: self.title.clone(),
            description: self.description_in(scope),
            grid_pos,
            datasource: grafana::DataSource::variable(),
            targets,
            field_config: self.field_config(),
            options: self.kind.options(self.unit.id()),
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
            return Err(Error::new(format!("{what} is missing")));
        }
        const MAX_QUERIES: usize = 26;
        if self.queries.len() > MAX_QUERIES {
            return Err(Error::new(format!(
                "at most {MAX_QUERIES} queries are allowed, got {}",
                self.queries.len()
            )));
        }
        if self.kind == grafana::PanelKind::Heatmap && self.queries.len() > 1 {
            return Err(Error::new(format!(
                "a heat map has 1 query, got {}",
                self.queries.len()
            )));
        }
        if let Some(two) = self.thresholds.windows(2).find(|two| two[0].0 >= two[1].0) {
            return Err(Error::new(format!(
                "thresholds must be in increasing order, got {} after {}",
                two[1].0, two[0].0
            )));
        }
        Ok(())
    }

    fn target(
        &self,
        query: &Query,
        ref_id: char,
        scope: &QueryScope<'_>,
    ) -> Result<grafana::Target, Error> {
        if self.kind == grafana::PanelKind::Heatmap {
            return heat_map_target(query, ref_id, scope);
        }
        let promql = query.expression.to_promql(scope)?;
        let labels = promql.labels.unwrap_or_default();
        let legend = match &query.legend {
            Some(legend) => {
                check_legend(legend, &labels)?;
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
            expr: promql.text,
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
        let is_base = |(from, _): &(f64, Severity)| *from == f64::NEG_INFINITY;
        let has_base = self.thresholds.first().is_some_and(is_base);
        let base = (!has_base).then_some((f64::NEG_INFINITY, Severity::Info));
        let steps = base.iter().chain(&self.thresholds);
        let steps = steps.map(|step| grafana::Step {
            color: step.1.color(),
            value: (!is_base(step)).then_some(step.0),
        });
        let has_thresholds = !self.thresholds.is_empty();
        let draws_lines = self.kind == grafana::PanelKind::Timeseries;
        grafana::FieldConfig::new(grafana::Defaults {
            unit: self.unit.id(),
            min: self.range.0,
            max: self.range.1,
            color: grafana::ColorMode {
                mode: match (self.kind, has_thresholds) {
                    (grafana::PanelKind::Timeseries | grafana::PanelKind::Piechart, _)
                    | (_, false) => "palette-classic",
                    _ => "thresholds",
                },
            },
            thresholds: grafana::Thresholds {
                mode: "absolute",
                steps: steps.collect(),
            },
            mappings: grafana::Mapping::values(&self.texts),
            custom: draws_lines.then(|| grafana::LineStyle::new(self.stacked, has_thresholds)),
        })
    }
}

/// Returns the query of a heat map. Grafana subtracts cumulative buckets in the format `heatmap`, which native ones are not.
fn heat_map_target(
    query: &Query,
    ref_id: char,
    scope: &QueryScope<'_>,
) -> Result<grafana::Target, Error> {
    let buckets = query.expression.to_buckets(scope)?;
    Ok(grafana::Target {
        ref_id,
        datasource: grafana::DataSource::variable(),
        expr: buckets.promql,
        legend_format: "{{le}}".to_owned(),
        instant: false,
        range: true,
        format: match buckets.has_classic {
            true => "heatmap",
            false => "time_series",
        },
    })
}

/// Returns an error if a legend uses `{{label}}` for a label that the series do not have.
fn check_legend(legend: &str, labels: &LabelNames) -> Result<(), Error> {
    for part in legend.split("{{").skip(1) {
        let label = part.split("}}").next().unwrap_or_default().trim();
        check_kept(label, labels)
            .map_err(|error| error.within(format_args!("legend {legend:?}")))?;
    }
    Ok(())
}
