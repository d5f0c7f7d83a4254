//! [`CustomContent`]: the parts of a dashboard that were added in Grafana.

use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::grafana::{COLUMNS, ID_STEP, VARIABLES};

/// Panels, variables, annotations and links that were added in Grafana, as JSON.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CustomContent {
    /// Rows and panels, from top to bottom.
    panels: Vec<Value>,
    pub(crate) variables: Vec<Value>,
    pub(crate) annotations: Vec<Value>,
    pub(crate) links: Vec<Value>,
}

impl CustomContent {
    /// Reads the custom parts of a dashboard, or of a response of Grafana's API that contains the dashboard.
    pub(crate) fn read(json: &str) -> Result<Self, Error> {
        let root: Value =
            serde_json::from_str(json).map_err(|error| Error::format("not JSON", error))?;
        let dashboard = match &root["dashboard"] {
            Value::Null => &root,
            dashboard => dashboard,
        };
        let Some(panels) = dashboard["panels"].as_array() else {
            return Err(Error::new(
                "no list `panels`; export the dashboard from Grafana in the classic format, schema version 1",
            ));
        };
        let is_custom_variable = |variable: &Value| {
            let name = variable["name"].as_str();
            name.is_some_and(|name| !VARIABLES.contains(&name))
        };
        let mut variables = list(&dashboard["templating"]["list"]);
        variables.retain(is_custom_variable);
        let mut content = Self {
            panels: Vec::new(),
            variables,
            annotations: list(&dashboard["annotations"]["list"]),
            links: list(&dashboard["links"]),
        };
        for item in panels {
            content.add(item);
        }
        content
            .panels
            .sort_by_key(|item| (grid(item, "y"), grid(item, "x")));
        Ok(content)
    }

    /// Adds a row or panel if it is custom. The panels of a collapsed row are inside of it.
    fn add(&mut self, item: &Value) {
        if !is_custom(item) {
            for inner in list(&item["panels"]) {
                self.add(&inner);
            }
            return;
        }
        let mut item = item.clone();
        if let Some(inner) = item.get_mut("panels").and_then(Value::as_array_mut) {
            inner.retain(is_custom);
        }
        self.panels.push(item);
    }

    /// Returns whether custom panels are outside of custom rows, so that they would belong to the last generated row.
    pub(crate) fn needs_row(&self) -> bool {
        self.panels
            .first()
            .is_some_and(|item| item["type"] != "row")
    }

    /// Returns the rows and panels, each as far up as possible, but not above line `y`.
    pub(crate) fn panels_from(&self, y: u32) -> Vec<Value> {
        // The first free line of each column.
        let mut free = [u64::from(y); COLUMNS as usize];
        let place = |item: &Value| {
            let x = grid(item, "x").min(u64::from(COLUMNS) - 1);
            let width = grid(item, "w").clamp(1, u64::from(COLUMNS) - x);
            let height = grid(item, "h").max(1);
            let columns = &mut free[x as usize..(x + width) as usize];
            let y = columns.iter().copied().max().unwrap_or_default();
            columns.fill(y.saturating_add(height));
            let position = json!({ "h": height, "w": width, "x": x, "y": y });
            let mut item = item.as_object().cloned().unwrap_or_else(Map::new);
            item.insert("gridPos".to_owned(), position);
            Value::Object(item)
        };
        self.panels.iter().map(place).collect()
    }
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn is_custom(item: &Value) -> bool {
    let id = item["id"].as_u64();
    item.is_object() && id.is_none_or(|id| id % u64::from(ID_STEP) != 0)
}

/// Returns a number of the item's position in the grid, or Grafana's default.
fn grid(item: &Value, key: &str) -> u64 {
    let default = match key {
        "w" => 12,
        "h" => 8,
        _ => 0,
    };
    item["gridPos"][key].as_u64().unwrap_or(default)
}
