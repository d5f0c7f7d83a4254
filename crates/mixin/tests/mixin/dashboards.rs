//! All generated dashboards follow the schema of Grafana 10 and the rules of Grafana's linter.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use test_support::dashboard::{Dashboard, selectors};
use tower_prometheus::collectors::{ProcessCollector, RuntimeCollector};
use tower_prometheus::{
    HttpMetrics, Registry,
    http::{HttpMetric, Naming},
};
use tower_prometheus_mixin::Dashboard as MixinDashboard;

use crate::families;
use crate::generated::{self, files_ending};

/// Returns the dashboards of layers with default and other configurations, and of catalogues. The package `systems` checks
/// those of the example systems.
fn dashboards() -> Vec<Dashboard> {
    let files = files_ending(".json").into_iter();
    let files = files.filter(|(path, _)| {
        path.starts_with("layers") && !path.to_string_lossy().ends_with(".api.json")
    });
    let mut texts: Vec<_> = files.map(|(_, text)| text).collect();
    let custom_naming = Naming::classic()
        .status_label("code")
        .endpoint_label("route");
    for http in [
        HttpMetrics::client().prefix("shop"),
        HttpMetrics::axum_prometheus(),
        HttpMetrics::server()
            .naming(custom_naming)
            .status_classes()
            .measure(HttpMetric::HeadDuration),
        HttpMetrics::server()
            .without(HttpMetric::Requests)
            .without(HttpMetric::InProgress)
            .without(HttpMetric::AbortedBodies)
            .without(HttpMetric::OpenConnections),
        HttpMetrics::server().without(HttpMetric::Duration),
    ] {
        texts.push(
            MixinDashboard::http("shop", "Shop", &http)
                .unwrap()
                .to_json()
                .unwrap(),
        );
    }
    let with_bodies = HttpMetrics::server().with_request_body();
    texts.push(
        MixinDashboard::http("shop", "Shop", &with_bodies)
            .unwrap()
            .to_json()
            .unwrap(),
    );
    texts.push(
        MixinDashboard::of_families("aria", "Aria", families::aria())
            .to_json()
            .unwrap(),
    );
    texts.push(
        MixinDashboard::of_families("cache", "Cache", families::cache())
            .to_json()
            .unwrap(),
    );
    texts.iter().map(|text| Dashboard::parse(text)).collect()
}

#[test]
fn dashboards_follow_grafanas_schema_and_linter() {
    for dashboard in dashboards() {
        // A gauge whose name ends with `_total`, like a counter's.
        let ranges = dashboard.assert_valid(&["aria_scheduler_jobs_total"]);
        assert!(ranges.is_empty(), "{}: {ranges:?}", dashboard.title);
    }
}

#[test]
fn api_json_wraps_the_import_json() {
    let apis = files_ending(".api.json");
    for (path, text) in apis {
        let api: BTreeMap<String, Value> = serde_json::from_str(&text).unwrap();
        assert_eq!(api.keys().collect::<Vec<_>>(), ["dashboard", "overwrite"]);
        let import = path.to_string_lossy().replace(".api.json", ".json");
        let import: Value =
            serde_json::from_str(&generated::files()[std::path::Path::new(&import)]).unwrap();
        assert_eq!(api["dashboard"], import);
    }
}

/// Every family has a panel, and no panel queries an undefined family.
#[test]
fn of_families_shows_every_family() {
    let http = HttpMetrics::server().families().unwrap();
    let custom = families::aria().into_iter().chain(families::cache());
    let families: Vec<_> = custom.chain(families::process()).chain(http).collect();
    let dashboard = Dashboard::parse(
        &MixinDashboard::of_families("all", "All", families.clone())
            .to_json()
            .unwrap(),
    );
    let queried: BTreeSet<_> = dashboard
        .panels_without_rows()
        .flat_map(|panel| &panel.targets)
        .flat_map(|target| selectors(&target.expr))
        .map(|selected| selected.selector.name.unwrap())
        .map(|name| {
            let histogram = families.iter().find(|family| {
                name.strip_prefix(&family.name)
                    .is_some_and(|rest| matches!(rest, "_bucket" | "_count"))
            });
            histogram.map_or(name, |family| family.name.clone())
        })
        .collect();
    let defined: BTreeSet<_> = families.iter().map(|family| family.name.clone()).collect();
    assert_eq!(queried, defined);
}

/// The overflow metric, which has no prefix, is ignored.
#[test]
fn of_families_omits_the_shared_prefix_from_titles() {
    let http = HttpMetrics::server().prefix("shop");
    let json = MixinDashboard::of_families("shop", "Shop", http.families().unwrap())
        .to_json()
        .unwrap();
    // The shared prefix is `shop_http_`.
    assert!(json.contains(r#""title": "Requests""#), "{json}");
    assert!(
        json.contains(r#""title": "Metrics label overflow""#),
        "{json}"
    );
    assert!(!json.contains(r#""title": "Shop "#), "{json}");
}

/// The dashboard of a layer contains all metric families that the layer records.
#[test]
fn layer_dashboards_show_every_family() {
    let http = HttpMetrics::server()
        .measure(HttpMetric::HeadDuration)
        .measure(HttpMetric::ResponseBodySize)
        .with_request_body();
    let json = MixinDashboard::http("shop", "Shop", &http)
        .unwrap()
        .to_json()
        .unwrap();
    let http: &HttpMetrics = http.as_ref();
    for family in http.families().unwrap() {
        assert!(json.contains(&family.name), "{}", family.name);
    }
    let json =
        MixinDashboard::grpc("grpc", "gRPC", &tower_prometheus::GrpcMetrics::client()).unwrap();
    let json = json.to_json().unwrap();
    for family in tower_prometheus::GrpcMetrics::client().families().unwrap() {
        assert!(json.contains(&family.name), "{}", family.name);
    }
}

/// Under OpenTelemetry's naming, only durations are recorded, and one label has the service and the method.
#[test]
fn grpc_dashboard_has_the_names_and_codes_of_the_layer() {
    use tower_prometheus::GrpcMetrics;
    use tower_prometheus::grpc::{CodeFormat, GrpcMetric, GrpcNaming};
    let json = |grpc: &GrpcMetrics| {
        let dashboard = MixinDashboard::grpc("grpc", "gRPC", grpc).unwrap();
        dashboard.to_json().unwrap()
    };
    let otel = json(&GrpcMetrics::open_telemetry_server());
    for part in [
        "rpc_server_call_duration_seconds_count",
        "UNKNOWN|DEADLINE_EXCEEDED|INTERNAL|UNAVAILABLE|DATA_LOSS",
        "by (rpc_method)",
    ] {
        assert!(otel.contains(part), "{part}\n{otel}");
    }
    for part in ["grpc_", "_started_total", "active_calls"] {
        assert!(!otel.contains(part), "{part}\n{otel}");
    }
    let naming = GrpcNaming::go_grpc_middleware().codes(CodeFormat::Number);
    assert!(json(&GrpcMetrics::server().naming(naming)).contains("2|4|13|14|15"));

    // Durations have no code by default.
    let uncounted = GrpcMetrics::server().without(GrpcMetric::Handled);
    assert!(MixinDashboard::grpc("grpc", "gRPC", &uncounted).is_err());
}

/// Texts for values, the maximum, tags, the time range and the default legend.
#[test]
fn panel_settings_are_in_the_json() {
    use tower_prometheus_mixin::{Panel, PanelUnit, Query};
    let state = Panel::stat("Circuit breaker", PanelUnit::Count)
        .description("Open: the model fails, and requests to it are refused at once.")
        .text(0.0, "closed")
        .text(1.0, "open")
        .text(2.0, "half-open")
        .max(2.0)
        .query(Query::value("aria_llm_circuit_breaker_state").max_by(["model"]));
    let built = MixinDashboard::new("state", "State", families::aria())
        .tag("llm")
        .time_range("6h")
        .panel(state);
    let dashboard = Dashboard::parse(&built.to_json().unwrap());
    assert_eq!(dashboard.tags, ["llm"]);
    assert_eq!(dashboard.time.from, "now-6h");
    let panel = &dashboard.panels[0];
    let defaults = &panel.field_config.as_ref().unwrap().defaults;
    assert_eq!((defaults.min, defaults.max), (None, Some(2.0)));
    let expected = serde_json::json!([{
        "type": "value",
        "options": {
            "0": { "text": "closed", "index": 0 },
            "1": { "text": "open", "index": 1 },
            "2": { "text": "half-open", "index": 2 },
        },
    }]);
    assert_eq!(Value::from(defaults.mappings.clone()), expected);
    assert_eq!(panel.targets[0].legend_format, "{{model}}");
}

/// The dashboard of the process shows the HELP texts that a registry exports.
#[tokio::test]
async fn process_families_are_those_of_a_registry() {
    let Ok(process) = ProcessCollector::new() else {
        return; // Not Linux.
    };
    let registry = Registry::new();
    registry.collector("process", process).unwrap();
    let runtime = RuntimeCollector::of(&tokio::runtime::Handle::current());
    registry.collector("runtime", runtime).unwrap();
    let snapshot = registry.gather().await;
    for family in families::process() {
        let exported = snapshot.family(&family.name).unwrap();
        assert_eq!(exported.help().as_deref(), Some(&*family.help));
        assert_eq!(exported.kind(), family.kind);
    }
}
