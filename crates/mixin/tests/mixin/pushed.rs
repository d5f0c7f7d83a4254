//! Dashboards of pushed jobs, whose series have no label `instance`.

use serde_json::Value;
use test_support::pushgateway::Pushgateway;
use test_support::skip_without;
use test_support::store::Store;
use tower_prometheus::HttpMetrics;
use tower_prometheus_mixin::{Dashboard, Definitions, RuleGroup, Rules, ScrapeConfig, ScrapeJob};

use crate::families;

/// The catalogue of a batch job.
fn families() -> Vec<tower_prometheus::model::FamilyDescription> {
    families::cache()
}

fn expressions(dashboard: &Dashboard) -> Vec<String> {
    let json: Value = serde_json::from_str(&dashboard.to_json().unwrap()).unwrap();
    let panels = json["panels"].as_array().unwrap().iter();
    let targets = panels.filter_map(|panel| panel["targets"].as_array());
    let expressions = targets
        .flatten()
        .map(|target| target["expr"].as_str().unwrap());
    expressions.map(str::to_owned).collect()
}

fn variables(dashboard: &Dashboard) -> Vec<String> {
    let json: Value = serde_json::from_str(&dashboard.to_json().unwrap()).unwrap();
    let list = json["templating"]["list"].as_array().unwrap().iter();
    list.map(|variable| variable["name"].as_str().unwrap().to_owned())
        .collect()
}

/// Replaces the variables by the values that Grafana uses under "All".
fn under_all(expression: &str) -> String {
    expression
        .replace("$__rate_interval", "1m")
        .replace("$job", ".+")
        .replace("$instance", ".+")
}

#[test]
fn dashboards_without_instance_have_no_such_variable_or_matcher() {
    let pushed = Definitions::from(families()).without_instance();
    let process = Definitions::from(families::process()).without_instance();
    for dashboard in [
        Dashboard::of_families("pushed", "Pushed", pushed),
        Dashboard::process("process", "Process", process),
        Dashboard::of_families("pushed", "Pushed", families()).without_instance(),
        Dashboard::process("process", "Process", families::process()).without_instance(),
        Dashboard::http("client", "Client", HttpMetrics::client())
            .unwrap()
            .without_instance(),
    ] {
        assert_eq!(variables(&dashboard), ["datasource", "job"]);
        for expression in expressions(&dashboard) {
            assert!(expression.contains("job=~\"$job\""), "{expression}");
            assert!(!expression.contains("instance"), "{expression}");
        }
        assert!(!dashboard.to_json().unwrap().contains("{{instance}}"));
    }
}

#[test]
fn health_of_pushed_jobs_has_no_alerts_on_targets() {
    let definitions = Definitions::from(families::process()).without_instance();
    let yaml = Rules::new(definitions.clone())
        .job("nightly")
        .group(RuleGroup::health("health", definitions))
        .to_yaml()
        .unwrap();
    assert!(yaml.contains("CollectorFailing"), "{yaml}");
    assert!(
        !yaml.contains("up{") && !yaml.contains("instance"),
        "{yaml}"
    );
}

/// A Pushgateway sends `instance=""`, so with `honor_labels` the series have no instance.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_panel_of_a_pushed_job_has_data() {
    skip_without!(Curl, Prometheus, Pushgateway);
    tokio::task::spawn_blocking(|| {
        let page = "# TYPE cache_entries gauge\ncache_entries{cache=\"users\"} 3\n";
        let gateway = Pushgateway::start();
        let config = ScrapeConfig::new().interval("1s").job(
            ScrapeJob::new("pushgateway")
                .target(gateway.url().trim_start_matches("http://"))
                .honor_labels(),
        );
        let url = format!("{}/metrics/job/nightly", gateway.url());
        test_support::process::curl(&["-sf", "--data-binary", page, &url]);
        let store = Store::prometheus(&config.to_prometheus_yaml().unwrap(), &[]);
        assert_eq!(
            store.wait_for_values("cache_entries{job=\"nightly\",instance=\"\"}"),
            [3.0]
        );
        let gauges = families()
            .into_iter()
            .filter(|family| family.name == "cache_entries");
        let dashboard = Dashboard::of_families("pushed", "Pushed", Definitions::new(gauges));
        // With the variable `instance`, the panel is empty under "All".
        for expression in expressions(&dashboard) {
            assert!(store.query(&under_all(&expression), None).is_empty());
        }
        for expression in expressions(&dashboard.without_instance()) {
            assert_eq!(store.wait_for_values(&under_all(&expression)), [3.0]);
        }
    })
    .await
    .unwrap();
}
