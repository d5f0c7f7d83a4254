//! [`Dashboard`]: rows and panels, and their JSON for Grafana.

use tower_prometheus::Registry;
use tower_prometheus::model::MetricKind;

use crate::custom_content::CustomContent;
use crate::definitions::Definitions;
use crate::error::Error;
use crate::grafana::{self, COLUMNS, ID_STEP};
use crate::histogram::{any_series, selector};
use crate::panel::{Panel, Row};
use crate::selector::{MatchValue, Matcher, QueryScope};
use crate::text::check_duration;

/// A Grafana dashboard.
///
/// Every dashboard has the variables `datasource`, `job` and `instance`, and every query of every panel uses them. Without
/// [`editable`](Self::editable), it is read-only in Grafana.
///
/// # Custom panels
///
/// | custom panels | how |
/// |---|---|
/// | written in Rust | [`and_definitions`](Self::and_definitions), then [`row`](Self::row) or [`panel`](Self::panel) |
/// | added in Grafana | [`editable`](Self::editable) and [`keep_custom_panels`](Self::keep_custom_panels) |
///
/// The ids of generated panels are multiples of 1000. Grafana gives a new panel the largest id plus 1. So every panel with
/// another id is a custom panel. [`keep_custom_panels`](Self::keep_custom_panels) keeps custom panels and replaces generated
/// ones, including changes that were made to them in Grafana. To change a generated panel, duplicate it and change the copy.
///
/// # Example
///
/// ```
/// use tower_prometheus::HttpMetrics;
/// use tower_prometheus_mixin::{Dashboard, Panel, PanelUnit, Query};
///
/// let families = HttpMetrics::server().families()?;
/// let dashboard = Dashboard::new("shop", "Shop", families.clone()).panel(
///     Panel::time_series("Requests", PanelUnit::RequestsPerSecond)
///         .description("Requests per second. After a sudden drop, check whether clients reach the service.")
///         .query(Query::rate("http_requests_total").by(["endpoint"])),
/// );
/// let json = dashboard.to_json()?;
/// assert!(json.contains("sum by (endpoint) (rate(http_requests_total"));
///
/// // A label that does not exist is an error instead of an empty panel.
/// let error = Dashboard::new("shop", "Shop", families).panel(
///     Panel::time_series("Requests", PanelUnit::RequestsPerSecond)
///         .description("Requests per second.")
///         .query(Query::rate("http_requests_total").by(["path"])),
/// );
/// assert_eq!(
///     error.to_json().unwrap_err().to_string(),
///     "dashboard \"Shop\": panel \"Requests\": \"http_requests_total\" has no label \"path\"; its labels are \
///      \"endpoint\", \"instance\", \"job\", \"method\", \"status\"",
/// );
/// # Ok::<(), tower_prometheus_mixin::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a dashboard does nothing until it is written"]
pub struct Dashboard {
    uid: String,
    title: String,
    definitions: Definitions,
    description: String,
    tags: Vec<String>,
    refresh: String,
    from: String,
    editable: bool,
    custom: CustomContent,
    /// The panels above all rows.
    panels: Vec<Panel>,
    rows: Vec<Row>,
}

impl Dashboard {
    /// Creates an empty dashboard, whose queries are checked against these definitions.
    ///
    /// `uid` identifies the dashboard in Grafana: importing a dashboard replaces the one with the same `uid`. It consists
    /// of 1 to 40 letters, digits, `-` and `_`.
    pub fn new(
        uid: impl Into<String>,
        title: impl Into<String>,
        definitions: impl Into<Definitions>,
    ) -> Self {
        Self {
            uid: uid.into(),
            title: title.into(),
            definitions: definitions.into(),
            description: String::new(),
            tags: Vec::new(),
            refresh: "30s".to_owned(),
            from: "now-1h".to_owned(),
            editable: false,
            custom: CustomContent::default(),
            panels: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Sets the description of the dashboard. Default: empty.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Adds a tag, which Grafana's search can filter by.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Sets the refresh interval, such as `10s` or `5m`. Default: `30s`.
    pub fn refresh(mut self, interval: impl Into<String>) -> Self {
        self.refresh = interval.into();
        self
    }

    /// Sets the length of the initial time range, such as `6h` or `7d`. The range ends now. Default: `1h`.
    pub fn time_range(mut self, duration: impl AsRef<str>) -> Self {
        self.from = format!("now-{}", duration.as_ref());
        self
    }

    /// Sets whether users can edit the dashboard in Grafana. Default: `false`, as Grafana's linter requires, because a
    /// generated dashboard replaces all changes except [custom panels](Self#custom-panels).
    pub fn editable(mut self, editable: bool) -> Self {
        self.editable = editable;
        self
    }

    /// Adds definitions, so that custom panels can query their families.
    ///
    /// A registry of [`Definitions::histograms_in`] applies only to the families of `more`.
    ///
    /// ```
    /// use tower_prometheus::HttpMetrics;
    /// use tower_prometheus::model::{FamilyDescription, MetricKind};
    /// use tower_prometheus_mixin::{Dashboard, Panel, PanelUnit, Query, Row};
    ///
    /// // A catalogue returns such a list from `families()`.
    /// let orders = [FamilyDescription::new("orders_total", MetricKind::Counter).help("Total number of orders.")];
    /// let failed = Panel::time_series("Orders per request", PanelUnit::Ratio)
    ///     .description("Orders per request. If it drops, check whether the checkout page works.")
    ///     .query(Query::rate("orders_total").sum() / Query::rate("http_requests_total").sum());
    /// let dashboard = Dashboard::http("shop-http", "Shop: HTTP", HttpMetrics::server())?
    ///     .and_definitions(&orders[..])
    ///     .row(Row::of_families("Orders", &orders).panel(failed));
    /// assert!(dashboard.to_json()?.contains("rate(orders_total{"));
    /// # Ok::<(), tower_prometheus_mixin::Error>(())
    /// ```
    pub fn and_definitions(mut self, more: impl Into<Definitions>) -> Self {
        self.definitions.merge(more.into());
        self
    }

    /// Gives histograms the native buckets that this registry gives them. Equals [`Definitions::histograms_in`].
    ///
    /// ```
    /// use tower_prometheus::{HttpMetrics, Registry};
    /// use tower_prometheus_mixin::Dashboard;
    ///
    /// let registry = Registry::builder().native_histograms(1.1).build()?;
    /// let dashboard = Dashboard::http("shop-http", "Shop: HTTP", HttpMetrics::server())?.histograms_in(&registry);
    /// assert!(!dashboard.to_json()?.contains("_bucket"));
    /// # Ok::<(), tower_prometheus_mixin::Error>(())
    /// ```
    pub fn histograms_in(mut self, registry: &Registry) -> Self {
        self.definitions = self.definitions.histograms_in(registry);
        self
    }

    /// Makes queries of native histograms also read classic buckets. Equals [`Definitions::mixed_histograms`].
    pub fn mixed_histograms(mut self) -> Self {
        self.definitions = self.definitions.mixed_histograms();
        self
    }

    /// Removes the variable `instance`, for jobs whose metrics are pushed. Equals [`Definitions::without_instance`].
    pub fn without_instance(mut self) -> Self {
        self.definitions = self.definitions.without_instance();
        self
    }

    /// Keeps the custom panels of an earlier version of this dashboard, as Grafana exported it.
    ///
    /// `existing` is the JSON of the dashboard, or the response of Grafana's API (`GET /api/dashboards/uid/{uid}`).
    ///
    /// | part of `existing` | result |
    /// |---|---|
    /// | panel or row whose id is not a multiple of 1000 | kept, below the generated panels, with its width and height |
    /// | custom panel in a generated row that is collapsed | kept, below the generated panels |
    /// | variable other than `datasource`, `job` and `instance` | kept |
    /// | annotations and links of the dashboard | kept |
    /// | everything else | generated again; changes that were made in Grafana are lost |
    ///
    /// If the first custom item is not a row, a row with the title `Custom panels` is above it. The queries of custom panels
    /// are not checked. To generate twice with the same custom panels gives the same file. For a directory of dashboards,
    /// use [`Mixin::keep_custom_panels`](crate::Mixin::keep_custom_panels).
    ///
    /// # Errors
    ///
    /// Returns an error if `existing` is not JSON, or has no list `panels`, as a dashboard of Grafana's schema version 2.
    pub fn keep_custom_panels(mut self, existing: &str) -> Result<Self, Error> {
        let custom = CustomContent::read(existing);
        self.custom = custom.map_err(|error| {
            error.within(format_args!(
                "existing version of dashboard {:?}",
                self.title
            ))
        })?;
        Ok(self)
    }

    /// Adds a row below all panels and rows.
    pub fn row(mut self, row: Row) -> Self {
        self.rows.push(row);
        self
    }

    /// Adds a panel above all rows.
    pub fn panel(mut self, panel: Panel) -> Self {
        self.panels.push(panel);
        self
    }

    pub(crate) fn uid(&self) -> &str {
        &self.uid
    }

    /// Returns the JSON for Grafana's import page and for provisioning.
    ///
    /// # Errors
    ///
    /// Returns an error that names the dashboard and the panel if
    ///
    /// - a query is not valid, as described at [`Query::to_promql`](crate::Query::to_promql);
    /// - a panel has no title, no description, no query or more than 26 queries, its thresholds do not rise, or its legend
    ///   uses a label that the query does not keep;
    /// - the `uid`, the title or a duration of the dashboard is not valid;
    /// - two different metric families have the same name;
    /// - no panel queries a metric family.
    pub fn to_json(&self) -> Result<String, Error> {
        json(&self.to_json_model()?)
    }

    /// Returns the request body for Grafana's API, `POST /api/dashboards/db`. The request replaces the dashboard with the
    /// same `uid`.
    ///
    /// # Errors
    ///
    /// As [`to_json`](Self::to_json).
    pub fn to_api_json(&self) -> Result<String, Error> {
        json(&grafana::ApiRequest {
            dashboard: &self.to_json_model()?,
            overwrite: true,
        })
    }

    fn to_json_model(&self) -> Result<grafana::DashboardJson, Error> {
        let model = self.checked_json_model();
        model.map_err(|error| error.within(format_args!("dashboard {:?}", self.title)))
    }

    fn checked_json_model(&self) -> Result<grafana::DashboardJson, Error> {
        self.check()?;
        Ok(grafana::DashboardJson {
            id: None,
            uid: self.uid.clone(),
            title: self.title.clone(),
            description: self.description.clone(),
            tags: self.tags.clone(),
            timezone: "browser",
            editable: self.editable,
            graph_tooltip: 1,
            time: grafana::TimeRange {
                from: self.from.clone(),
                to: "now",
            },
            refresh: self.refresh.clone(),
            schema_version: 38,
            templating: self.variables()?,
            annotations: grafana::List {
                list: self.custom.annotations.clone(),
            },
            links: self.custom.links.clone(),
            panels: self.rows_and_panels()?,
        })
    }

    fn check(&self) -> Result<(), Error> {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if !(1..=40).contains(&self.uid.len()) || !self.uid.chars().all(is_allowed) {
            return Err(Error::new(format!(
                "uid must be 1 to 40 letters, digits, '-' and '_', got {:?}",
                self.uid
            )));
        }
        if self.title.is_empty() {
            return Err(Error::new("title is missing"));
        }
        check_duration(&self.refresh)?;
        check_duration(self.from.trim_start_matches("now-"))?;
        Ok(())
    }

    fn every_panel(&self) -> impl Iterator<Item = &Panel> {
        let in_rows = self.rows.iter().flat_map(|row| &row.panels);
        self.panels.iter().chain(in_rows)
    }

    /// Returns the variables. Their values come from the first metric family that a panel queries.
    fn variables(&self) -> Result<grafana::List<grafana::Variable>, Error> {
        let mut families = self.every_panel().flat_map(Panel::families);
        let family = families
            .next()
            .ok_or_else(|| Error::new("no panel queries a metric family; add a query"))?;
        let index = self.definitions.index()?;
        let series = |matcher: &str| match index.family(family) {
            Ok(indexed) if matches!(indexed.kind, MetricKind::Histogram | MetricKind::Summary) => {
                any_series(family, indexed, matcher)
            }
            _ => selector(family, matcher),
        };
        let values = |series, label| format!("label_values({series}, {label})");
        let jobs = values(series(""), "job");
        let mut list = vec![
            grafana::Variable::data_source(),
            grafana::Variable::label("job", "Job", jobs),
        ];
        if self.definitions.has_instance() {
            let instances = values(series("job=~\"$job\""), "instance");
            list.push(grafana::Variable::label("instance", "Instance", instances));
        }
        list.extend(
            self.custom
                .variables
                .iter()
                .cloned()
                .map(grafana::Variable::Custom),
        );
        Ok(grafana::List { list })
    }

    /// Returns the rows and panels with their positions in the grid.
    fn rows_and_panels(&self) -> Result<Vec<grafana::Item>, Error> {
        let index = self.definitions.index()?;
        let common_matchers = ["job", "instance"].map(|label| Matcher {
            label: label.to_owned(),
            value: MatchValue::Regex(format!("${label}")),
        });
        let scope = QueryScope {
            index: &index,
            common_matchers: &common_matchers,
            default_range: "$__rate_interval",
        };
        let mut rows_and_panels = Vec::new();
        let mut y = 0;
        let place_below = |panels: &[Panel], y: u32, rows_and_panels: &mut Vec<grafana::Item>| {
            let (grid, end) = grid_positions(panels, y);
            for (panel, grid_pos) in panels.iter().zip(grid) {
                let id = next_id(rows_and_panels);
                let json = panel
                    .to_json_model(&scope, id, grid_pos)
                    .map_err(|error| error.within(format_args!("panel {:?}", panel.title)))?;
                rows_and_panels.push(grafana::Item::Panel(Box::new(json)));
            }
            Ok::<_, Error>(end)
        };
        y = place_below(&self.panels, y, &mut rows_and_panels)?;
        for row in &self.rows {
            let id = next_id(&rows_and_panels);
            rows_and_panels.push(grafana::Item::row(id, &row.title, y));
            y = place_below(&row.panels, y + 1, &mut rows_and_panels)?;
        }
        if self.custom.needs_row() {
            let id = next_id(&rows_and_panels);
            rows_and_panels.push(grafana::Item::row(id, "Custom panels", y));
            y += 1;
        }
        let custom = self.custom.panels_from(y).into_iter();
        rows_and_panels.extend(custom.map(grafana::Item::Custom));
        Ok(rows_and_panels)
    }
}

/// Returns the id of the next generated row or panel. Ids of custom panels are not multiples of [`ID_STEP`].
fn next_id(before: &[grafana::Item]) -> u32 {
    (before.len() as u32 + 1) * ID_STEP
}

/// Places panels from left to right, starting at line `y`. Returns their positions and the first line below them.
fn grid_positions(panels: &[Panel], mut y: u32) -> (Vec<grafana::GridPos>, u32) {
    let (mut x, mut height) = (0, 0);
    let place = |panel: &Panel| {
        let (w, h) = (panel.size.0.clamp(1, COLUMNS), panel.size.1.max(1));
        if x + w > COLUMNS {
            y += height;
            (x, height) = (0, 0);
        }
        let position = grafana::GridPos { h, w, x, y };
        x += w;
        height = height.max(h);
        position
    };
    let positions: Vec<_> = panels.iter().map(place).collect();
    (positions, y + height)
}

fn json(value: &impl serde::Serialize) -> Result<String, Error> {
    let json = serde_json::to_string_pretty(value);
    json.map(|json| json + "\n")
        .map_err(|error| Error::format("a dashboard cannot be written as JSON", error))
}
