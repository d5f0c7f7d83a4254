//! [`Dashboard`]: panels over definitions, as Grafana reads them.

use super::definitions::Definitions;
use super::expression::Place;
use super::grafana;
use super::panel::{Panel, Row};
use super::selector::{Match, Matcher, check_duration};
use crate::Error;
use crate::app::FamilyKind;

/// A Grafana dashboard.
///
/// It has the variables `datasource`, `job` and `instance`, and every query of every panel heeds them.
///
/// ```
/// use tower_prometheus::HttpMetrics;
/// use tower_prometheus::mixin::{Dashboard, Panel, PanelUnit, Query};
///
/// let families = HttpMetrics::server().families()?;
/// let dashboard = Dashboard::new("shop", "Shop", families.clone()).panel(
///     Panel::time_series("Requests", PanelUnit::RequestsPerSecond)
///         .description("Requests a second. A sudden drop: look whether clients still reach us.")
///         .query(Query::rate("http_requests_total").by(["endpoint"])),
/// );
/// let json = dashboard.to_json()?;
/// assert!(json.contains("sum by (endpoint) (rate(http_requests_total"));
///
/// // A label that is no more is an error, not a dead panel.
/// let error = Dashboard::new("shop", "Shop", families).panel(
///     Panel::time_series("Requests", PanelUnit::RequestsPerSecond)
///         .description("Requests a second.")
///         .query(Query::rate("http_requests_total").by(["path"])),
/// );
/// assert_eq!(
///     error.to_json().unwrap_err().to_string(),
///     "panel \"Requests\" of dashboard \"Shop\": label \"path\" is asked for, which \"http_requests_total\" \
///      does not have; it has \"endpoint\", \"instance\", \"job\", \"method\", \"status\"",
/// );
/// # Ok::<(), tower_prometheus::Error>(())
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
    /// Above all rows.
    panels: Vec<Panel>,
    rows: Vec<Row>,
}

/// How wide Grafana's grid is.
const COLUMNS: u32 = 24;

impl Dashboard {
    /// An empty dashboard over these definitions. `uid` is what links to it name: letters, digits, `-` and
    /// `_`, at most 40.
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
            panels: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// What it is for.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// A word that it is found by.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// How often it asks again; 30 seconds unless said otherwise.
    pub fn refresh(mut self, interval: impl Into<String>) -> Self {
        self.refresh = interval.into();
        self
    }

    /// How far back it looks at first; 1 hour unless said otherwise.
    pub fn looks_back(mut self, duration: impl AsRef<str>) -> Self {
        self.from = format!("now-{}", duration.as_ref());
        self
    }

    /// Adds a row with its panels.
    pub fn row(mut self, row: Row) -> Self {
        self.rows.push(row);
        self
    }

    /// Adds a panel above all rows.
    pub fn panel(mut self, panel: Panel) -> Self {
        self.panels.push(panel);
        self
    }

    pub(super) fn uid(&self) -> &str {
        &self.uid
    }

    /// The JSON that Grafana's import page takes, and its provisioning.
    ///
    /// # Errors
    ///
    /// When a query asks for what is not defined, a panel lacks its title, description or query, a
    /// dashboard its `uid`, or there is no panel at all; with the panel's name.
    pub fn to_json(&self) -> Result<String, Error> {
        json(&self.written()?)
    }

    /// The JSON that Grafana's API takes, `POST /api/dashboards/db`: it replaces the dashboard of this `uid`.
    ///
    /// # Errors
    ///
    /// As [`to_json`](Self::to_json).
    pub fn to_api_json(&self) -> Result<String, Error> {
        json(&grafana::Wrapped {
            dashboard: &self.written()?,
            overwrite: true,
        })
    }

    fn written(&self) -> Result<grafana::Dashboard, Error> {
        let about = |error| Error::new(format!("dashboard {:?}: {error}", self.title));
        self.check().map_err(about)?;
        Ok(grafana::Dashboard {
            id: None,
            uid: self.uid.clone(),
            title: self.title.clone(),
            description: self.description.clone(),
            tags: self.tags.clone(),
            timezone: "browser",
            editable: false,
            graph_tooltip: 1,
            time: grafana::Time {
                from: self.from.clone(),
                to: "now",
            },
            refresh: self.refresh.clone(),
            schema_version: 38,
            templating: self.variables().map_err(about)?,
            annotations: grafana::List { list: Vec::new() },
            links: [],
            panels: self.items()?,
        })
    }

    fn check(&self) -> Result<(), Error> {
        let of_uid = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if !(1..=40).contains(&self.uid.len()) || !self.uid.chars().all(of_uid) {
            return Err(Error::new(format!(
                "uid {:?} is not allowed: it is 1 to 40 letters, digits, '-' and '_'",
                self.uid
            )));
        }
        if self.title.is_empty() {
            return Err(Error::new("it has no title"));
        }
        check_duration(&self.refresh)?;
        check_duration(self.from.trim_start_matches("now-"))?;
        Ok(())
    }

    fn every_panel(&self) -> impl Iterator<Item = &Panel> {
        let in_rows = self.rows.iter().flat_map(|row| &row.panels);
        self.panels.iter().chain(in_rows)
    }

    /// The variables; jobs and instances are those of the first family that is asked for.
    fn variables(&self) -> Result<grafana::List<grafana::Variable>, Error> {
        let mut families = self.every_panel().flat_map(Panel::families);
        let family = families
            .next()
            .ok_or_else(|| Error::new("it has no panel that asks for a family"))?;
        let known = self.definitions.index()?;
        let is_counted = known
            .family(family)
            .is_ok_and(|family| matches!(family.kind, FamilyKind::Histogram | FamilyKind::Summary));
        let series = if is_counted {
            format!("{family}_count")
        } else {
            family.to_owned()
        };
        Ok(grafana::List {
            list: vec![
                grafana::Variable::data_source(),
                grafana::Variable::label("job", "Job", format!("label_values({series}, job)")),
                grafana::Variable::label(
                    "instance",
                    "Instance",
                    format!("label_values({series}{{job=~\"$job\"}}, instance)"),
                ),
            ],
        })
    }

    /// Rows and panels in their places.
    fn items(&self) -> Result<Vec<grafana::Item>, Error> {
        let known = self.definitions.index()?;
        let everywhere = ["job", "instance"].map(|label| Matcher {
            label: label.to_owned(),
            value: Match::Like(format!("${label}")),
        });
        let place = Place {
            known: &known,
            everywhere: &everywhere,
            window: "$__rate_interval",
        };
        let mut items = Vec::new();
        let mut y = 0;
        let below = |panels: &[Panel], y: u32, items: &mut Vec<grafana::Item>| {
            let (grid, end) = shelves(panels, y);
            for (panel, grid_pos) in panels.iter().zip(grid) {
                let id = items.len() as u32 + 1;
                let written = panel.written(&place, id, grid_pos).map_err(|error| {
                    Error::new(format!(
                        "panel {:?} of dashboard {:?}: {error}",
                        panel.title, self.title
                    ))
                })?;
                items.push(grafana::Item::Panel(Box::new(written)));
            }
            Ok::<_, Error>(end)
        };
        y = below(&self.panels, y, &mut items)?;
        for row in &self.rows {
            items.push(grafana::Item::Row(grafana::Row {
                id: items.len() as u32 + 1,
                kind: "row",
                title: row.title.clone(),
                collapsed: false,
                grid_pos: grafana::GridPos {
                    h: 1,
                    w: COLUMNS,
                    x: 0,
                    y,
                },
                panels: [],
            }));
            y = below(&row.panels, y + 1, &mut items)?;
        }
        Ok(items)
    }
}

/// Puts panels from left to right, in as many lines as they need from `y` on; and the line after them.
fn shelves(panels: &[Panel], mut y: u32) -> (Vec<grafana::GridPos>, u32) {
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
        .map_err(|error| Error::new(format!("a dashboard cannot be written as JSON: {error}")))
}
