//! `dashboards.md`: the generated files, the commands of the page and Grafana's provisioning.

use std::process::Command;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::post;
use serde::Deserialize;
use serde_json::Value;
use test_support::skip_without;
use test_support::store::{Directory, Store};

use crate::page::{DASHBOARDS, block, commands};

/// Runs the program of the page. Returns the directory that contains `deploy/monitoring`.
fn generated() -> Directory {
    let directory = Directory::new();
    let mut program = Command::new(env!("CARGO_BIN_EXE_dashboards"));
    let status = program.current_dir(&directory.0).status().unwrap();
    assert!(status.success());
    directory
}

#[test]
fn table_of_the_page_lists_the_generated_files() {
    let directory = generated();
    let root = directory.0.join("deploy/monitoring");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(path.strip_prefix(&root).unwrap().display().to_string()),
            }
        }
    }
    assert_eq!(found.len(), 5, "{found:?}");
    for file in found {
        let row = format!("| `{file}` |");
        assert!(DASHBOARDS.contains(&row), "the page has no row {row}");
    }
}

#[test]
fn promtool_accepts_the_generated_files_with_the_commands_of_the_page() {
    skip_without!(Promtool);
    let directory = generated();
    let commands = commands(DASHBOARDS, "promtool");
    assert_eq!(commands.len(), 2);
    for command in commands {
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", command])
            .current_dir(directory.0.join("deploy/monitoring"));
        let output = shell.output().unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
    }
}

#[test]
fn prometheus_loads_the_generated_rules_with_the_generated_configuration() {
    skip_without!(Curl, Prometheus);
    let directory = generated();
    let file = |name: &str| {
        let path = directory.0.join("deploy/monitoring").join(name);
        std::fs::read_to_string(path).unwrap()
    };
    let config = file("prometheus.yml");
    // The lines that the page shows for a configuration that exists.
    let shown = yaml_serde::from_str::<Value>(block(DASHBOARDS, "yaml", "rule_files")).unwrap();
    let parsed = yaml_serde::from_str::<Value>(&config).unwrap();
    assert_eq!(parsed["rule_files"], shown["rule_files"]);

    let prometheus = Store::prometheus(&config, &[("rules/shop.yml", &file("rules/shop.yml"))]);
    let groups = |response: &Value| response["data"]["groups"].as_array().map_or(0, Vec::len);
    let rules = prometheus.wait_for_response("/api/v1/rules", &[], |rules| groups(rules) > 0);
    let rules = rules["data"]["groups"].to_string();
    assert!(
        rules.contains("\"type\":\"alerting\"") && rules.contains("job=\\\"shop\\\""),
        "{rules}"
    );
}

/// What Grafana's API receives: <https://grafana.com/docs/grafana/latest/developers/http_api/dashboard/>.
#[tokio::test]
async fn curl_command_of_the_page_sends_the_dashboard_to_the_api() {
    skip_without!(Curl);
    let received = Arc::new(Mutex::new(None));
    let store = Arc::clone(&received);
    let api = async move |headers: HeaderMap, body: String| {
        *store.lock().unwrap() = Some((headers, body));
    };
    let api = Router::new().route("/api/dashboards/db", post(api));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, api).await });

    let [command] = commands(DASHBOARDS, "curl")[..] else {
        panic!("the page has one curl command")
    };
    let command = command.replace("https://grafana.example", &url);
    let run = move || {
        let directory = generated();
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &command]).env("GRAFANA_TOKEN", "glsa_x");
        shell
            .current_dir(directory.0.join("deploy/monitoring"))
            .output()
            .unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let (headers, body) = received.lock().unwrap().take().expect("a request");
    assert_eq!(headers["authorization"], "Bearer glsa_x");
    assert_eq!(headers["content-type"], "application/json");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["overwrite"], true);
    assert_eq!(body["dashboard"]["uid"], "shop-http");
}

/// The fields that the page uses of Grafana's provisioning files, `apiVersion: 1` (Grafana 10):
/// <https://grafana.com/docs/grafana/latest/administration/provisioning/>.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(dead_code, reason = "only parsed")]
struct Provisioning {
    api_version: u32,
    #[serde(default)]
    providers: Vec<Provider>,
    #[serde(default)]
    datasources: Vec<DataSource>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only parsed")]
struct Provider {
    name: String,
    r#type: String,
    options: ProviderOptions,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only parsed")]
struct ProviderOptions {
    path: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(dead_code, reason = "only parsed")]
struct DataSource {
    name: String,
    r#type: String,
    access: String,
    url: String,
    is_default: bool,
}

#[test]
fn provisioning_files_have_only_known_fields() {
    for (text, providers, datasources) in [("providers:", 1, 0), ("datasources:", 0, 1)] {
        let file = block(DASHBOARDS, "yaml", text);
        let file: Provisioning = yaml_serde::from_str(file).unwrap();
        assert_eq!(
            (file.providers.len(), file.datasources.len()),
            (providers, datasources)
        );
    }
}
