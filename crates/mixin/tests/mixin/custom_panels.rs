//! Custom panels in generated dashboards: written in Rust, or added in Grafana and kept when the dashboard is generated
//! again.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use test_support::dashboard::Dashboard as Parsed;
use test_support::store::Directory;
use tower_prometheus::HttpMetrics;
use tower_prometheus::model::{FamilyDescription, MetricKind};
use tower_prometheus_mixin::{Dashboard, Mixin, Panel, PanelUnit, Query, Row};

fn orders() -> Vec<FamilyDescription> {
    vec![
        FamilyDescription::new("shop_orders_total", MetricKind::Counter)
            .help("Total number of orders."),
        FamilyDescription::new("shop_baskets", MetricKind::Gauge).help("Number of open baskets."),
    ]
}

fn http() -> Dashboard {
    Dashboard::http("shop", "Shop", HttpMetrics::server()).unwrap()
}

fn parse(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

fn json_of(dashboard: &Dashboard) -> Value {
    parse(&dashboard.to_json().unwrap())
}

#[test]
fn own_families_are_panels_of_the_http_dashboard() {
    let conversion = Panel::time_series("Orders per request", PanelUnit::Ratio)
        .description("Orders per request. If it drops, check the checkout page.")
        .query(Query::rate("shop_orders_total").sum() / Query::rate("http_requests_total").sum());
    let row = Row::of_families("Checkout", &orders()).panel(conversion);
    // Without the definitions, the families are unknown.
    let error = http().row(row.clone()).to_json().unwrap_err().to_string();
    assert!(
        error.contains("no metric family \"shop_orders_total\""),
        "{error}"
    );
    let dashboard = http().and_definitions(orders()).row(row);
    let parsed = Parsed::parse(&dashboard.to_json().unwrap());
    assert!(parsed.assert_valid(&[]).is_empty());
    // Titles omit the shared prefix.
    assert_eq!(
        parsed.panel("Orders").targets[0].expr,
        "sum(rate(shop_orders_total{job=~\"$job\",instance=~\"$instance\"}[$__rate_interval]))"
    );
    assert_eq!(
        parsed.panel("Orders").description,
        "Total number of orders. Increase of `shop_orders_total` per second."
    );
    assert!(!parsed.panel("Baskets").targets.is_empty());
    assert_eq!(parsed.panel("Orders per request").targets.len(), 1);
}

#[test]
fn dashboards_are_editable_only_on_request() {
    assert_eq!(json_of(&http())["editable"], false);
    assert_eq!(json_of(&http().editable(true))["editable"], true);
    assert_eq!(
        json_of(&http().editable(true).editable(false))["editable"],
        false
    );
}

/// A panel as Grafana saves it, with keys that the generator does not know.
fn custom_panel(id: u32, title: &str, (x, y, w, h): (u32, u32, u32, u32)) -> Value {
    json!({
        "id": id,
        "type": "heatmap",
        "title": title,
        "pluginVersion": "11.2.0",
        "gridPos": { "h": h, "w": w, "x": x, "y": y },
        "datasource": { "type": "prometheus", "uid": "${datasource}" },
        "targets": [{ "refId": "A", "expr": "sum(up{team=\"$team\"})" }],
        "options": { "calculate": true },
    })
}

fn panels(dashboard: &Value) -> &Vec<Value> {
    dashboard["panels"].as_array().unwrap()
}

fn ids(dashboard: &Value) -> Vec<u64> {
    let ids = panels(dashboard).iter();
    ids.map(|panel| panel["id"].as_u64().unwrap()).collect()
}

/// Returns the panel without its position.
fn content(panel: &Value) -> Value {
    let mut panel = panel.clone();
    panel.as_object_mut().unwrap().remove("gridPos");
    panel
}

/// Edits a dashboard as users do in Grafana. New panels get the largest id plus 1.
fn edited_in_grafana() -> Value {
    let mut edited = json_of(&http().editable(true));
    edited["id"] = json!(17);
    edited["version"] = json!(4);
    edited["title"] = json!("My shop");
    let next = *ids(&edited).iter().max().unwrap() as u32 + 1;
    let items = edited["panels"].as_array_mut().unwrap();
    // A generated panel is changed, another one is deleted.
    items[1]["title"] = json!("changed in Grafana");
    items.remove(2);
    // Two panels between the generated ones, side by side, and one in a generated row that is collapsed.
    items.insert(3, custom_panel(next, "Left", (0, 3, 10, 6)));
    items.insert(4, custom_panel(next + 1, "Right", (10, 3, 14, 9)));
    let row = items.iter().position(|item| item["title"] == "Durations");
    let row = row.unwrap();
    let mut collapsed = items.split_off(row);
    let rest = collapsed.iter().skip(1).position(|i| i["type"] == "row");
    let rest = collapsed.split_off(rest.unwrap() + 1);
    let mut row = collapsed.remove(0);
    collapsed.push(custom_panel(next + 2, "Inside", (12, 60, 12, 8)));
    row["collapsed"] = json!(true);
    row["panels"] = json!(collapsed);
    items.push(row);
    items.extend(rest);
    // A custom row below everything, collapsed, with a custom panel and one that was moved from a generated row.
    let moved = items.remove(items.len() - 1);
    items.push(json!({
        "id": next + 3,
        "type": "row",
        "title": "Mine",
        "collapsed": true,
        "gridPos": { "h": 1, "w": 24, "x": 0, "y": 400 },
        "panels": [moved, custom_panel(next + 4, "Below", (0, 401, 24, 5))],
    }));
    let variables = edited["templating"]["list"].as_array_mut().unwrap();
    variables.push(json!({ "type": "textbox", "name": "team", "query": "shop" }));
    edited["annotations"]["list"] = json!([{ "name": "Deploys", "enable": true }]);
    edited["links"] = json!([{ "title": "Wiki", "url": "https://wiki.example" }]);
    edited
}

#[test]
fn custom_panels_are_kept_and_generated_ones_are_replaced() {
    let generated = json_of(&http());
    let edited = edited_in_grafana();
    let again = http().keep_custom_panels(&edited.to_string()).unwrap();
    let merged = json_of(&again);
    let count = panels(&generated).len();
    // All generated rows and panels are as without custom panels, then come the custom ones.
    assert_eq!(panels(&merged)[..count], panels(&generated)[..]);
    for key in ["id", "uid", "title", "editable", "time", "refresh"] {
        assert_eq!(merged[key], generated[key], "{key}");
    }
    let custom = &panels(&merged)[count..];
    let titles: Vec<_> = custom
        .iter()
        .map(|item| item["title"].as_str().unwrap())
        .collect();
    assert_eq!(titles, ["Custom panels", "Left", "Right", "Inside", "Mine"]);
    let next = *ids(&generated).iter().max().unwrap() as u32 + 1;
    for (number, title) in [(1, "Left"), (2, "Right"), (3, "Inside")] {
        let expected = custom_panel(next + number as u32 - 1, title, (0, 0, 1, 1));
        assert_eq!(content(&custom[number]), content(&expected));
    }
    // The panel that was moved into the custom row is generated again in its own row.
    let inner = custom[4]["panels"].as_array().unwrap();
    assert_eq!(inner.len(), 1);
    assert_eq!(inner[0]["title"], "Below");
    // Positions: as wide and high as before, side by side, and nothing overlaps.
    assert_eq!(custom[1]["gridPos"]["w"], 10);
    assert_eq!(custom[2]["gridPos"]["h"], 9);
    assert_eq!(custom[1]["gridPos"]["y"], custom[2]["gridPos"]["y"]);
    let mut covered = BTreeSet::new();
    for item in panels(&merged) {
        let position = |key: &str| item["gridPos"][key].as_u64().unwrap();
        for x in position("x")..position("x") + position("w") {
            for y in position("y")..position("y") + position("h") {
                assert!(x < 24 && covered.insert((x, y)), "{item}");
            }
        }
    }
    let unique: BTreeSet<_> = ids(&merged).into_iter().collect();
    assert_eq!(unique.len(), ids(&merged).len());
    // What custom panels need.
    let variables = merged["templating"]["list"].as_array().unwrap();
    let names: Vec<_> = variables
        .iter()
        .map(|v| v["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["datasource", "job", "instance", "team"]);
    assert_eq!(merged["annotations"], edited["annotations"]);
    assert_eq!(merged["links"], edited["links"]);
}

#[test]
fn custom_panels_survive_any_number_of_generations() {
    let once = http()
        .keep_custom_panels(&edited_in_grafana().to_string())
        .unwrap()
        .to_json()
        .unwrap();
    let twice = http().keep_custom_panels(&once).unwrap();
    assert_eq!(twice.to_json().unwrap(), once);
    // The API's response wraps the dashboard.
    let response = json!({ "meta": { "version": 4 }, "dashboard": parse(&once) });
    let from_api = http().keep_custom_panels(&response.to_string()).unwrap();
    assert_eq!(from_api.to_json().unwrap(), once);
    let api = twice.to_api_json().unwrap();
    assert_eq!(parse(&api)["dashboard"], parse(&once));
    // More generated panels do not take the ids of custom ones, and fewer leave nothing behind.
    let larger = http()
        .and_definitions(orders())
        .row(Row::of_families("Orders", &orders()));
    let larger = larger.keep_custom_panels(&once).unwrap().to_json().unwrap();
    let all = ids(&parse(&larger));
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    assert!(larger.contains("\"Inside\"") && larger.contains("\"Below\""));
    let smaller = http().keep_custom_panels(&larger).unwrap();
    assert_eq!(smaller.to_json().unwrap(), once);
}

#[test]
fn a_mixin_keeps_the_custom_panels_of_its_directory() {
    let directory = Directory::new();
    let mixin = || Mixin::new().dashboard(http());
    let keeping = || mixin().keep_custom_panels(&directory.0);
    // Without a file, there is nothing to keep.
    keeping().write_to(&directory.0).unwrap();
    let plain = http().to_json().unwrap();
    let path = directory.0.join("dashboards/shop.json");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), plain);
    std::fs::write(&path, edited_in_grafana().to_string()).unwrap();
    let expected = http()
        .keep_custom_panels(&edited_in_grafana().to_string())
        .unwrap();
    for _ in 0..2 {
        keeping().write_to(&directory.0).unwrap();
        let written = std::fs::read_to_string(&path).unwrap();
        assert_eq!(written, expected.to_json().unwrap());
        let api = std::fs::read_to_string(path.with_extension("api.json")).unwrap();
        assert_eq!(api, expected.to_api_json().unwrap());
    }
    // By default, a generated dashboard replaces the file.
    mixin().write_to(&directory.0).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), plain);
    // A file that is not a dashboard is an error, and stays.
    for (text, expected) in [
        (
            "not json",
            "existing version of dashboard \"Shop\": not JSON",
        ),
        (
            "{\"elements\": {}}",
            "existing version of dashboard \"Shop\": no list `panels`",
        ),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = keeping().write_to(&directory.0).unwrap_err();
        let message = error.to_string();
        assert!(message.starts_with(&path.display().to_string()), "{error}");
        assert!(message.contains(expected), "{error}");
        assert!(!error.is_io());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let error = keeping().files().unwrap_err();
    assert!(error.is_io(), "{error}");
}
