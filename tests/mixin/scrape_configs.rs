//! Scrape configurations as those read them who scrape by them.

use tower_prometheus::mixin::{ScrapeConfig, ScrapeJob};

use crate::systems::files_ending;
use test_support::store::{Directory, promtool};

#[test]
fn promtool_finds_nothing_to_complain_about() {
    let directory = Directory::new();
    directory.write("rules/none.yml", "groups: []\n");
    for file in ["prometheus.yml", "vmagent.yml"] {
        for (_, text) in files_ending(file) {
            directory.write(file, &text);
            let said = promtool(&["check", "config", "--lint-fatal", file], &directory.0);
            assert!(said.contains("SUCCESS"), "{said}");
        }
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
