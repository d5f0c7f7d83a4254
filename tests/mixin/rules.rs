//! Rules as promtool sees them: they can be read, they fire when they should, and not when they should not.

use promql_parser::parser;
use tower_prometheus::mixin::{RuleGroup, Rules, Slo};
use tower_prometheus::{HttpMetrics, Naming};

use crate::systems::files_ending;
use test_support::skip_without;
use test_support::store::{Directory, promtool};

fn rules() -> Vec<(String, String)> {
    let files = files_ending(".yml").into_iter();
    let rules = files.filter(|(path, _)| path.parent().unwrap().ends_with("rules"));
    rules
        .map(|(path, text)| {
            (
                path.file_name().unwrap().to_string_lossy().into_owned(),
                text,
            )
        })
        .collect()
}

#[test]
fn promtool_finds_nothing_to_complain_about() {
    skip_without!(Promtool);
    let directory = Directory::new();
    let rules = rules();
    assert!(rules.len() >= 6);
    for (name, text) in rules {
        directory.write(&name, &text);
        let said = promtool(&["check", "rules", "--lint-fatal", &name], &directory.0);
        assert!(said.contains("SUCCESS"), "{said}");
    }
}

#[test]
fn alerts_fire_when_they_should_and_only_then() {
    skip_without!(Promtool);
    let directory = Directory::new();
    for (name, text) in rules() {
        directory.write(&name, &text);
    }
    for (name, cases) in [
        ("service", include_str!("cases/service.yml")),
        ("service-slow", include_str!("cases/service-slow.yml")),
        (
            "service-opentelemetry",
            include_str!("cases/service-opentelemetry.yml"),
        ),
        ("zerostate", include_str!("cases/zerostate.yml")),
    ] {
        let name = format!("{name}.test.yml");
        directory.write(&name, cases);
        promtool(&["test", "rules", &name], &directory.0);
    }
}

/// What follows a key, on the lines of a file.
fn values<'a>(yaml: &'a str, key: &str) -> Vec<&'a str> {
    let lines = yaml.lines().map(|line| line.trim_start_matches(['-', ' ']));
    lines.filter_map(|line| line.strip_prefix(key)).collect()
}

#[test]
fn every_alert_says_how_bad_it_is_and_what_to_do() {
    let mut alerts = 0;
    for (name, text) in rules() {
        let count = values(&text, "alert: ").len();
        alerts += count;
        for key in ["severity: ", "summary: ", "description: "] {
            assert_eq!(values(&text, key).len(), count, "{key} in {name}");
        }
        for expression in values(&text, "expr: ") {
            let expression = expression.trim_matches('\'').replace("''", "'");
            parser::parse(&expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
        }
    }
    assert!(alerts > 20, "{alerts}");
}

/// The factors of the four pairs of windows, of the budget that the objective leaves.
#[test]
fn budgets_burn_at_four_speeds() {
    let http = HttpMetrics::server();
    let slo = Slo::http_availability("shop", 0.995, &http).unwrap();
    let rules = Rules::new(http.families().unwrap()).group(slo.group().unwrap());
    let yaml = rules.to_yaml().unwrap();
    let alerts: Vec<_> = values(&yaml, "expr: ")
        .into_iter()
        .filter(|expression| expression.contains(" and "))
        .collect();
    let expected = [
        ("1h", "5m", "14.4"),
        ("6h", "30m", "6"),
        ("1d", "2h", "3"),
        ("3d", "6h", "1"),
    ];
    let expected = expected.map(|(long, short, factor)| {
        let exceeds = |window| {
            format!(
                "(job:slo_errors:ratio_rate{window}{{slo=\"shop\"}} > ({factor} * (1 - 0.995)))"
            )
        };
        format!("{} and {}", exceeds(long), exceeds(short))
    });
    assert_eq!(alerts, expected);
    // Each window that an alert asks for is recorded, and over just that window.
    let recorded = values(&yaml, "record: ");
    for (window, name) in ["5m", "30m", "1h", "2h", "6h", "1d", "3d"]
        .iter()
        .zip(&recorded)
    {
        assert_eq!(*name, format!("job:slo_errors:ratio_rate{window}"));
        assert!(yaml.contains(&format!("[{window}]")), "{window}");
    }
    assert_eq!(recorded.len(), 7);
}

/// Names of one's own go all the way through.
#[test]
fn rules_follow_the_layers_naming() {
    let naming = Naming::classic()
        .family(tower_prometheus::Family::Requests, "hits_total")
        .endpoint_label("route")
        .status_label("code");
    let http = HttpMetrics::server()
        .prefix("shop")
        .naming(naming)
        .status_classes();
    let rules = Rules::new(http.families().unwrap())
        .group(RuleGroup::http("http", &http).unwrap())
        .group(
            Slo::http_availability("shop", 0.99, &http)
                .unwrap()
                .by(["route"])
                .group()
                .unwrap(),
        );
    let yaml = rules.to_yaml().unwrap();
    for expected in [
        "record: job_route:shop_hits:rate5m",
        "shop_hits_total{code=~\"5xx|error|panicked\"}",
        "job_route:slo_errors:ratio_rate1h",
    ] {
        assert!(yaml.contains(expected), "{expected}\n{yaml}");
    }
    assert!(!yaml.contains("http_requests") && !yaml.contains("endpoint)"));
}
