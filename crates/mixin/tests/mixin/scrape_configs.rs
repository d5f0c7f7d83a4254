//! Scrape configurations: their content, and that Prometheus and VictoriaMetrics load them.

use tower_prometheus_mixin::{ScrapeConfig, ScrapeJob};

use crate::generated::files_ending;
use test_support::skip_without;
use test_support::store::{Directory, Store, promtool, with_static_target};

#[test]
fn promtool_accepts_all_scrape_configurations() {
    skip_without!(Promtool);
    let directory = Directory::new();
    directory.write("rules/none.yml", "groups: []\n");
    for file in ["prometheus.yml", "vmagent.yml"] {
        for (_, text) in files_ending(file) {
            directory.write(file, &with_static_target(&text));
            let output = promtool(&["check", "config", "--lint-fatal", file], &directory.0);
            assert!(output.contains("SUCCESS"), "{output}");
        }
    }
}

/// Both servers load all kinds of jobs and list their targets. The pod is not listed, because it has no annotation.
#[test]
fn prometheus_and_victoria_metrics_load_every_kind_of_job() {
    skip_without!(Curl, Prometheus, VictoriaMetrics);
    let config = ScrapeConfig::new()
        .interval("30s")
        .job(ScrapeJob::new("asdlc-orchestrator").target("orchestrator:8080"))
        .job(ScrapeJob::new("asdlc-workers").target("workers:8081"))
        .job(ScrapeJob::kubernetes_pods("asdlc-pods", "dox-asdlc"))
        .rule_file("rules/*.yml");
    for store in [
        Store::prometheus(
            &with_static_target(&config.to_prometheus_yaml().unwrap()),
            &[],
        ),
        Store::victoria_metrics(&config.to_vmagent_yaml().unwrap()),
    ] {
        assert_eq!(
            store.active_targets(2),
            [
                "asdlc-orchestrator orchestrator:8080 http://orchestrator:8080/metrics",
                "asdlc-workers workers:8081 http://workers:8081/metrics",
            ]
        );
    }
}

#[test]
fn job_settings_are_in_the_file() {
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
fn invalid_jobs_are_rejected() {
    let error_of = |config: ScrapeConfig| {
        assert!(config.to_vmagent_yaml().is_err());
        config.to_prometheus_yaml().unwrap_err().to_string()
    };
    let job = || ScrapeJob::new("shop").target("shop:8080");
    assert_eq!(error_of(ScrapeConfig::new()), "no job; add at least one");
    assert_eq!(
        error_of(ScrapeConfig::new().job(job()).job(job())),
        "two jobs have the name \"shop\"; rename one"
    );
    assert_eq!(
        error_of(ScrapeConfig::new().job(ScrapeJob::new("shop"))),
        "job \"shop\": no target; add at least one"
    );
    assert!(
        error_of(ScrapeConfig::new().interval("often").job(job())).contains("is not a duration")
    );
    assert!(
        error_of(ScrapeConfig::new().job(job().path("metrics")))
            .contains("path must start with '/'")
    );
    for target in [
        "shop",
        "shop:",
        ":80",
        "http://shop:80",
        "shop:99999",
        "shop:80/metrics",
    ] {
        let error = error_of(ScrapeConfig::new().job(ScrapeJob::new("shop").target(target)));
        assert!(
            error.contains("target must be host:port, without scheme or path"),
            "{error}"
        );
    }
}
