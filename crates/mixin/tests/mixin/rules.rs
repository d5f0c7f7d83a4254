//! Generated rules: promtool accepts them, and alerts fire only in the cases in which they should.

use tower_prometheus::{HttpMetrics, http::Naming};
use tower_prometheus_mixin::{RuleGroup, Rules, Slo};

use crate::generated::files_ending;
use test_support::dashboard::Dashboard;
use test_support::rules::{assert_valid_rules, yaml_values};
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
fn promtool_accepts_all_rules() {
    skip_without!(Promtool);
    let directory = Directory::new();
    let rules = rules();
    assert!(rules.len() >= 2);
    for (name, text) in rules {
        directory.write(&name, &text);
        let output = promtool(&["check", "rules", "--lint-fatal", &name], &directory.0);
        assert!(output.contains("SUCCESS"), "{output}");
    }
}

#[test]
fn alerts_fire_only_in_the_expected_cases() {
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
    ] {
        let name = format!("{name}.test.yml");
        directory.write(&name, cases);
        promtool(&["test", "rules", &name], &directory.0);
    }
}

#[test]
fn every_alert_has_severity_summary_and_description() {
    let alerts: usize = rules()
        .iter()
        .map(|(name, text)| assert_valid_rules(name, text))
        .sum();
    assert!(alerts > 20, "{alerts}");
}

/// Each pair of windows has its own factor of the allowed error ratio.
#[test]
fn burn_rate_alerts_use_four_pairs_of_windows() {
    let http = HttpMetrics::server();
    let slo = Slo::http_availability("shop", 0.995, &http).unwrap();
    let rules = Rules::new(http.families().unwrap()).group(slo.group().unwrap());
    let yaml = rules.to_yaml().unwrap();
    let alerts: Vec<_> = yaml_values(&yaml, "expr: ")
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
    // The error ratio over each window of an alert is recorded, with that window as its range.
    let recorded = yaml_values(&yaml, "record: ");
    for (window, name) in ["5m", "30m", "1h", "2h", "6h", "1d", "3d"]
        .iter()
        .zip(&recorded)
    {
        assert_eq!(*name, format!("job:slo_errors:ratio_rate{window}"));
        assert!(yaml.contains(&format!("[{window}]")), "{window}");
    }
    assert_eq!(recorded.len(), 7);
}

/// Custom names are used in the names of recorded series and in queries.
#[test]
fn rules_use_the_naming_of_the_layer() {
    let naming = Naming::classic()
        .family(tower_prometheus::http::HttpMetric::Requests, "hits_total")
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

/// The panels of an objective, evaluated by promtool with the queries of the dashboard.
#[test]
fn error_budget_panels_show_what_is_left() {
    let http = HttpMetrics::server();
    let rows = [
        Slo::http_availability("shop", 0.999, &http).unwrap(),
        Slo::http_latency("fast", 0.99, 0.25, &http).unwrap(),
    ];
    let dashboard = rows.iter().fold(
        tower_prometheus_mixin::Dashboard::http("shop", "Shop", &http).unwrap(),
        |dashboard, slo| dashboard.row(slo.row().unwrap()),
    );
    let dashboard = Dashboard::parse(&dashboard.to_json().unwrap());
    let ranges: Vec<_> = dashboard.assert_valid(&[]).into_iter().collect();
    let month = 30 * 24 * 3600;
    assert_eq!(
        ranges,
        [
            ("Burn rate".to_owned(), 3600),
            ("Error budget left".to_owned(), month)
        ]
    );
    let panels: Vec<_> = dashboard
        .panels
        .iter()
        .filter(|panel| ["Error budget left", "Burn rate"].contains(&panel.title.as_str()))
        .collect();
    let steps = &panels[0]
        .field_config
        .as_ref()
        .unwrap()
        .defaults
        .thresholds
        .steps;
    let steps: Vec<_> = steps
        .iter()
        .map(|step| (step.color.as_str(), step.value))
        .collect();
    assert_eq!(
        steps,
        [("red", None), ("yellow", Some(0.0)), ("green", Some(0.25))]
    );
    assert_eq!(panels[0].targets[0].legend_format, "{{job}}");
    skip_without!(Promtool);
    let queries = panels.iter().map(|panel| {
        let query = panel.targets[0].expr.replace("$job", ".+");
        query.replace("$instance", ".+")
    });
    // For 20 days, 0.05 % of the requests fail, half of the allowed ratio. For 10 days, 0.25 % fail, 2.5 times the allowed
    // ratio: 1/3 and 5/6 of the budget are spent. 0.5 % of the requests are slow, half of the allowed ratio.
    let ok = "0+9995x480 4807575+9975x239";
    let failed = "0+5x480 2425+25x239";
    let series = |name: &str, values: &str| serde_json::json!({ "series": name, "values": values });
    let labels = "job=\"shop\",instance=\"a\",endpoint=\"/\"";
    let tests = queries.zip([-1.0 / 6.0, 2.5, 0.5, 0.5]).map(|(query, expected)| {
        serde_json::json!({
            "expr": format!("round({query}, 0.01)"),
            "eval_time": "720h",
            "exp_samples": [{ "labels": "{job=\"shop\"}", "value": (expected * 100.0_f64).round() / 100.0 }],
        })
    });
    let test = serde_json::json!({
        "evaluation_interval": "1h",
        "tests": [{
            "interval": "1h",
            "input_series": [
                series(&format!("http_requests_total{{{labels},status=\"200\"}}"), ok),
                series(&format!("http_requests_total{{{labels},status=\"500\"}}"), failed),
                series(&format!("http_request_duration_seconds_bucket{{{labels},le=\"0.25\"}}"), "0+9950x720"),
                series(&format!("http_request_duration_seconds_count{{{labels}}}"), "0+10000x720"),
            ],
            "promql_expr_test": tests.collect::<Vec<_>>(),
        }],
    });
    let directory = Directory::new();
    directory.write("test.yml", &test.to_string());
    promtool(&["test", "rules", "test.yml"], &directory.0);
}
