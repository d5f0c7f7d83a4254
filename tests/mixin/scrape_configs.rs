//! Scrape configurations as those read them who scrape by them.

use tower_prometheus::mixin::{ScrapeConfig, ScrapeJob};

use crate::systems::files_ending;
use test_support::skip_without;
use test_support::store::{Directory, Store, promtool};

/// Debian's Prometheus is built without the discovery of Kubernetes, and knows no such key: it gets a pod
/// that is always there, so that it reads the rest. VictoriaMetrics gets all of it.
fn without_discovery(config: &str) -> String {
    let discovery = "  kubernetes_sd_configs:\n  - role: pod\n    namespaces:\n      names:\n      - dox-asdlc\n";
    config.replace(discovery, "  static_configs:\n  - targets:\n    - pod:80\n")
}

#[test]
fn promtool_finds_nothing_to_complain_about() {
    skip_without!(Promtool);
    let directory = Directory::new();
    directory.write("rules/none.yml", "groups: []\n");
    for file in ["prometheus.yml", "vmagent.yml"] {
        for (_, text) in files_ending(file) {
            directory.write(file, &without_discovery(&text));
            let said = promtool(&["check", "config", "--lint-fatal", file], &directory.0);
            assert!(said.contains("SUCCESS"), "{said}");
        }
    }
}

/// The configuration of aSDLC has every kind of job; both servers take it and have its targets. The pod is not
/// among them, because it has no annotation.
#[test]
fn real_servers_load_them() {
    skip_without!(Curl, Prometheus, VictoriaMetrics);
    let asdlc = |file: &str| {
        let files = files_ending(file).into_iter();
        let mut asdlc = files.filter(|(path, _)| path.starts_with("asdlc"));
        asdlc.next().unwrap().1
    };
    for store in [
        Store::prometheus(&without_discovery(&asdlc("prometheus.yml")), &[]),
        Store::victoria_metrics(&asdlc("vmagent.yml")),
    ] {
        let targets = store.get_when("/api/v1/targets", &[], |answer| {
            answer["data"]["activeTargets"]
                .as_array()
                .is_some_and(|targets| targets.len() >= 2)
        });
        let targets = targets["data"]["activeTargets"].as_array().unwrap();
        let mut found: Vec<_> = targets
            .iter()
            .map(|target| {
                let labels = &target["labels"];
                let label = |name: &str| labels[name].as_str().unwrap().to_owned();
                (
                    label("job"),
                    label("instance"),
                    target["scrapeUrl"].as_str().unwrap(),
                )
            })
            .map(|(job, instance, url)| format!("{job} {instance} {url}"))
            .collect();
        found.sort();
        assert_eq!(
            found,
            [
                "asdlc-orchestrator orchestrator:8080 http://orchestrator:8080/metrics",
                "asdlc-workers workers:8081 http://workers:8081/metrics",
            ]
        );
    }
}

#[test]
fn a_job_says_all_that_it_was_told() {
    let config = ScrapeConfig::new()
        .job(
            ScrapeJob::new("api")
                .target("api:443")
                .https()
                .path("/internal/prom")
                .interval("1m"),
        )
        .rule_file("rules/*.yml");
    let expected = "scrape_configs:\n- job_name: api\n  scrape_interval: 1m\n  metrics_path: /internal/prom\n  \
                    scheme: https\n  static_configs:\n  - targets:\n    - api:443\n";
    assert_eq!(config.to_vmagent_yaml().unwrap(), expected);
    let with_rules = format!("rule_files:\n- rules/*.yml\n{expected}");
    assert_eq!(config.to_prometheus_yaml().unwrap(), with_rules);
}

#[test]
fn what_cannot_be_scraped_is_refused() {
    let refused = |config: ScrapeConfig| {
        assert!(config.to_vmagent_yaml().is_err());
        config.to_prometheus_yaml().unwrap_err().to_string()
    };
    let job = || ScrapeJob::new("shop").target("shop:8080");
    assert_eq!(refused(ScrapeConfig::new()), "there is no job to scrape");
    assert_eq!(
        refused(ScrapeConfig::new().job(job()).job(job())),
        "there are two jobs called \"shop\""
    );
    assert_eq!(
        refused(ScrapeConfig::new().job(ScrapeJob::new("shop"))),
        "job \"shop\": it has no target"
    );
    assert!(refused(ScrapeConfig::new().interval("often").job(job())).contains("is no duration"));
    assert!(
        refused(ScrapeConfig::new().job(job().path("metrics"))).contains("does not start with '/'")
    );
    for target in [
        "shop",
        "shop:",
        ":80",
        "http://shop:80",
        "shop:99999",
        "shop:80/metrics",
    ] {
        let error = refused(ScrapeConfig::new().job(ScrapeJob::new("shop").target(target)));
        assert!(
            error.ends_with("it is host:port, without scheme or path"),
            "{error}"
        );
    }
}
