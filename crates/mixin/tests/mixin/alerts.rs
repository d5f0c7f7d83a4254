//! Every alert of layers with the default configuration: it fires, does not fire, and handles missing data, a restart and
//! the loss of all targets. promtool evaluates the generated rules over series of one service.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use test_support::skip_without;
use test_support::store::{Directory, promtool};

use crate::generated::layers_directory;

/// How a series continues.
#[derive(Clone, Copy)]
enum Life {
    /// For two hours.
    Steady,
    /// After an hour, the process is down for two minutes. Then its counters start at 0.
    Restart,
    /// After an hour, the target is gone.
    Gone,
}

/// The values of a series, one per minute.
#[derive(Clone, Copy)]
enum Values {
    /// The increase per minute.
    Counter(f64),
    Gauge(f64),
    /// `up`: 0 while the process is down.
    Up(f64),
    /// In promtool's notation, whatever the life.
    Literal(&'static str),
    Missing,
}

impl Values {
    fn notation(self, life: Life) -> Option<String> {
        let part = |minutes: u32| match self {
            Self::Counter(increase) => format!("0+{increase}x{minutes}"),
            Self::Gauge(value) | Self::Up(value) => format!("{value}x{minutes}"),
            Self::Literal(_) | Self::Missing => String::new(),
        };
        match (self, life) {
            (Self::Missing, _) => None,
            (Self::Literal(values), _) => Some(values.to_owned()),
            (_, Life::Steady) => Some(part(120)),
            (Self::Up(_), Life::Restart) => Some(format!("{} 0x1 {}", part(59), part(60))),
            (_, Life::Restart) => Some(format!("{} stale _ {}", part(59), part(60))),
            (_, Life::Gone) => Some(format!("{} stale _x60", part(59))),
        }
    }
}

const UP: &str = "up{job=\"service\",instance=\"a\"}";
const OK: &str = "http_requests_total{job=\"service\",instance=\"a\",method=\"GET\",endpoint=\"/\",status=\"200\"}";
const FAILED: &str = "http_requests_total{job=\"service\",instance=\"a\",method=\"GET\",endpoint=\"/\",status=\"500\"}";
const FAST: &str = "http_request_duration_seconds_bucket{job=\"service\",instance=\"a\",method=\"GET\",endpoint=\"/\",le=\"0.25\"}";
const ALL: &str = "http_request_duration_seconds_count{job=\"service\",instance=\"a\",method=\"GET\",endpoint=\"/\"}";
const GRPC_OK: &str = "grpc_server_handled_total{job=\"service\",instance=\"a\",grpc_type=\"unary\",grpc_service=\"s\",grpc_method=\"m\",grpc_code=\"OK\"}";
const GRPC_FAILED: &str = "grpc_server_handled_total{job=\"service\",instance=\"a\",grpc_type=\"unary\",grpc_service=\"s\",grpc_method=\"m\",grpc_code=\"Internal\"}";
const GRPC_FAST: &str = "grpc_server_handling_seconds_bucket{job=\"service\",instance=\"a\",grpc_type=\"unary\",grpc_service=\"s\",grpc_method=\"m\",le=\"1.0\"}";
const GRPC_ALL: &str = "grpc_server_handling_seconds_count{job=\"service\",instance=\"a\",grpc_type=\"unary\",grpc_service=\"s\",grpc_method=\"m\"}";
const OVERFLOW: &str = "metrics_label_overflow_total{job=\"service\",instance=\"a\",family=\"http_requests_total\",label=\"endpoint\"}";
const COLLECTOR: &str =
    "scrape_collector_success{job=\"service\",instance=\"a\",collector=\"process\"}";

/// The series of a healthy service: half of what each objective allows fails.
fn healthy() -> BTreeMap<&'static str, Values> {
    [
        (UP, Values::Up(1.0)),
        (OK, Values::Counter(59.97)),
        (FAILED, Values::Counter(0.03)),
        (FAST, Values::Counter(59.7)),
        (ALL, Values::Counter(60.0)),
        (GRPC_OK, Values::Counter(59.97)),
        (GRPC_FAILED, Values::Counter(0.03)),
        (GRPC_FAST, Values::Counter(59.7)),
        (GRPC_ALL, Values::Counter(60.0)),
        (OVERFLOW, Values::Gauge(7.0)),
        (COLLECTOR, Values::Gauge(1.0)),
    ]
    .into()
}

type Changes = &'static [(&'static str, Values)];

/// An alert, and the changes of [`healthy`] for each case.
struct Alert {
    /// Of the result of `count by (alertname, slo) (ALERTS)`.
    labels: &'static str,
    count: u32,
    fires: Changes,
    /// Just below the threshold.
    quiet: Changes,
    no_data: Changes,
}

const BURN_ALERTS: u32 = 4;

const ALERTS: [Alert; 8] = [
    Alert {
        labels: "{alertname=\"ScrapeFailing\"}",
        count: 1,
        fires: &[(UP, Values::Up(0.0))],
        quiet: &[(UP, Values::Literal("1x59 0x4 1x60"))],
        no_data: &[],
    },
    Alert {
        labels: "{alertname=\"TargetsMissing\"}",
        count: 1,
        fires: &[(UP, Values::Missing)],
        quiet: &[(UP, Values::Literal("1x59 stale _x3 1x60"))],
        no_data: &[],
    },
    Alert {
        labels: "{alertname=\"CardinalityOverflow\"}",
        count: 1,
        fires: &[(OVERFLOW, Values::Counter(1.0))],
        quiet: &[(OVERFLOW, Values::Gauge(1000.0))],
        no_data: &[(OVERFLOW, Values::Missing)],
    },
    Alert {
        labels: "{alertname=\"CollectorFailing\"}",
        count: 1,
        fires: &[(COLLECTOR, Values::Gauge(0.0))],
        quiet: &[(COLLECTOR, Values::Literal("1x59 0x9 1x60"))],
        no_data: &[(COLLECTOR, Values::Missing)],
    },
    Alert {
        labels: "{alertname=\"ErrorBudgetBurn\",slo=\"http\"}",
        count: BURN_ALERTS,
        fires: &[(OK, Values::Counter(57.0)), (FAILED, Values::Counter(3.0))],
        quiet: &[(FAILED, Values::Counter(0.059))],
        no_data: &[(OK, Values::Missing), (FAILED, Values::Missing)],
    },
    Alert {
        labels: "{alertname=\"ErrorBudgetBurn\",slo=\"http_fast\"}",
        count: BURN_ALERTS,
        fires: &[(FAST, Values::Counter(48.0))],
        quiet: &[(FAST, Values::Counter(59.41))],
        no_data: &[(FAST, Values::Missing), (ALL, Values::Missing)],
    },
    Alert {
        labels: "{alertname=\"ErrorBudgetBurn\",slo=\"grpc\"}",
        count: BURN_ALERTS,
        fires: &[
            (GRPC_OK, Values::Counter(57.0)),
            (GRPC_FAILED, Values::Counter(3.0)),
        ],
        quiet: &[(GRPC_FAILED, Values::Counter(0.059))],
        no_data: &[(GRPC_OK, Values::Missing), (GRPC_FAILED, Values::Missing)],
    },
    Alert {
        labels: "{alertname=\"ErrorBudgetBurn\",slo=\"grpc_fast\"}",
        count: BURN_ALERTS,
        fires: &[(GRPC_FAST, Values::Counter(48.0))],
        quiet: &[(GRPC_FAST, Values::Counter(59.41))],
        no_data: &[(GRPC_FAST, Values::Missing), (GRPC_ALL, Values::Missing)],
    },
];

/// Alerts of which as many fire: labels of the result of `count by (alertname, slo) (ALERTS)`, and the number.
type Firing<'a> = &'a [(&'a str, u32)];

/// A test of promtool. `firing` are the alerts that fire at the minute `at`. `None` means that no alert fires at any time.
fn case(name: &str, changes: Changes, life: Life, at: u32, firing: Option<Firing<'_>>) -> Value {
    let mut series = healthy();
    series.extend(changes.iter().copied());
    let series = series.into_iter().filter_map(|(series, values)| {
        Some(json!({ "series": series, "values": values.notation(life)? }))
    });
    let firing_now = "count by (alertname, slo) (ALERTS{alertstate=\"firing\"})";
    let firing_ever =
        "count by (alertname, slo) (count_over_time(ALERTS{alertstate=\"firing\"}[3h]))";
    let (expression, firing) = match firing {
        Some(firing) => (firing_now, firing),
        None => (firing_ever, &[][..]),
    };
    let samples = firing
        .iter()
        .map(|(labels, count)| json!({ "labels": labels, "value": count }));
    json!({
        "name": name,
        "interval": "1m",
        "input_series": series.collect::<Vec<_>>(),
        "promql_expr_test": [
            { "expr": expression, "eval_time": format!("{at}m"), "exp_samples": samples.collect::<Vec<_>>() },
        ],
    })
}

#[track_caller]
fn run(tests: &[Value]) {
    let directory = Directory::new();
    let rules = std::fs::read_to_string(layers_directory().join("rules/service.yml")).unwrap();
    directory.write("service.yml", &rules);
    // JSON is YAML.
    let file =
        json!({ "rule_files": ["service.yml"], "evaluation_interval": "1m", "tests": tests });
    directory.write("test.yml", &file.to_string());
    promtool(&["test", "rules", "test.yml"], &directory.0);
}

#[test]
fn every_shipped_alert_is_tested() {
    let rules = std::fs::read_to_string(layers_directory().join("rules/service.yml")).unwrap();
    let alerts = rules.matches("- alert: ").count() as u32;
    let tested: u32 = ALERTS.iter().map(|alert| alert.count).sum();
    assert_eq!(alerts, tested);
}

#[test]
fn each_alert_fires_for_its_fault_and_no_other_alert_does() {
    skip_without!(Promtool);
    run(&ALERTS.each_ref().map(|alert| {
        let firing = Some(&[(alert.labels, alert.count)][..]);
        case(alert.labels, alert.fires, Life::Steady, 119, firing)
    }));
}

#[test]
fn no_alert_fires_just_below_its_threshold() {
    skip_without!(Promtool);
    run(&ALERTS
        .each_ref()
        .map(|alert| case(alert.labels, alert.quiet, Life::Steady, 119, None)));
}

#[test]
fn no_alert_fires_if_its_series_are_missing() {
    skip_without!(Promtool);
    run(&ALERTS
        .each_ref()
        .map(|alert| case(alert.labels, alert.no_data, Life::Steady, 119, None)));
}

#[test]
fn no_alert_fires_because_of_a_restart() {
    skip_without!(Promtool);
    run(&ALERTS
        .each_ref()
        .map(|alert| case(alert.labels, alert.no_data, Life::Restart, 121, None)));
}

#[test]
fn alerts_fire_after_a_restart_if_the_fault_remains() {
    skip_without!(Promtool);
    run(&ALERTS.each_ref().map(|alert| {
        let firing = Some(&[(alert.labels, alert.count)][..]);
        case(alert.labels, alert.fires, Life::Restart, 119, firing)
    }));
}

/// Alerts on a target that is gone end with their windows: half an hour later, the two warnings of an objective still fire,
/// whose short windows are 2 and 6 hours. A new alert says that all targets are gone.
#[test]
fn targets_missing_fires_if_all_targets_are_gone_and_other_alerts_end() {
    skip_without!(Promtool);
    run(&ALERTS.each_ref().map(|alert| {
        let missing = ("{alertname=\"TargetsMissing\"}", 1);
        let warnings = (alert.labels, 2);
        let firing = match alert.count {
            BURN_ALERTS => &[missing, warnings][..],
            _ => &[missing][..],
        };
        case(alert.labels, alert.fires, Life::Gone, 95, Some(firing))
    }));
}

/// Nothing was ever scraped.
#[test]
fn only_targets_missing_fires_without_any_series() {
    skip_without!(Promtool);
    run(&[json!({
        "interval": "1m",
        "input_series": [{ "series": "up{job=\"other\",instance=\"a\"}", "values": "1x20" }],
        "promql_expr_test": [{
            "expr": "ALERTS{alertstate=\"firing\"}",
            "eval_time": "4m",
            "exp_samples": [],
        }, {
            "expr": "ALERTS{alertstate=\"firing\"}",
            "eval_time": "6m",
            "exp_samples": [{
                "labels": "ALERTS{alertname=\"TargetsMissing\",alertstate=\"firing\",job=\"service\",severity=\"critical\"}",
                "value": 1,
            }],
        }],
    })]);
}

/// The texts that an engineer receives.
#[test]
fn texts_say_what_is_broken_how_badly_and_where_to_look() {
    skip_without!(Promtool);
    let health = |name: &str, labels: Value, summary: &str, description: &str| {
        let mut labels = labels;
        labels["job"] = json!("service");
        let alert = ALERTS
            .iter()
            .find(|alert| alert.labels.contains(name))
            .unwrap();
        let mut case = case(
            name,
            alert.fires,
            Life::Steady,
            119,
            Some(&[(alert.labels, 1)][..]),
        );
        case["alert_rule_test"] = json!([{
            "alertname": name,
            "eval_time": "119m",
            "exp_alerts": [{
                "exp_labels": labels,
                "exp_annotations": { "summary": summary, "description": description },
            }],
        }]);
        case
    };
    let mut tests = vec![
        health(
            "ScrapeFailing",
            json!({ "severity": "critical", "instance": "a" }),
            "service: Prometheus cannot scrape a",
            "All scrapes have failed for 5 minutes, so the metrics of this instance are missing and its other alerts \
             cannot fire. Check whether the process runs and whether its metrics page answers. The page Status > \
             Targets of Prometheus shows the error.",
        ),
        health(
            "TargetsMissing",
            json!({ "severity": "critical" }),
            "service: Prometheus has no target of this job",
            "There has been no target for 5 minutes, so the job has no metrics and its other alerts cannot fire. Check \
             whether the service is deployed. If it runs, check service discovery and the scrape configuration: the \
             page Status > Service Discovery of Prometheus shows dropped targets.",
        ),
        health(
            "CardinalityOverflow",
            json!({ "severity": "warning", "family": "http_requests_total", "label": "endpoint" }),
            "service: label endpoint of http_requests_total exceeds its limit of values",
            "In the last 15 minutes, about 15 observations had values beyond the limit. They were recorded with the \
             value `overflow`, except values set on gauges, which were not recorded. If these values are expected, \
             raise the limit of the label. Otherwise, find the client or the code that creates them.",
        ),
        health(
            "CollectorFailing",
            json!({ "severity": "warning", "instance": "a", "collector": "process" }),
            "service: collector process of a fails",
            "It has failed, panicked or timed out for 10 minutes. Its metrics are missing; those of the layers and of \
             other collectors are complete. The log of the service has the error.",
        ),
    ];
    let burns = [
        (
            "http",
            "5% of all requests failed",
            "0.1 %",
            "The panel \"Error ratio by endpoint\" of the HTTP dashboard shows where requests fail; then see the log \
             of that endpoint.",
        ),
        (
            "http_fast",
            "20% of all requests were too slow",
            "1 %",
            "The panel \"p95 duration by endpoint\" of the HTTP dashboard shows which endpoint is slow; then find out \
             what it waits for.",
        ),
        (
            "grpc",
            "5% of all calls failed",
            "0.1 %",
            "The panels \"Error ratio by method\" and \"Calls by code\" of the gRPC dashboard show where calls fail; \
             then see the log of that method.",
        ),
        (
            "grpc_fast",
            "20% of all calls were too slow",
            "1 %",
            "The panel \"p95 duration by method\" of the gRPC dashboard shows which method is slow; then find out \
             what it waits for.",
        ),
    ];
    for (slo, what, allowed, where_to_look) in burns {
        let label = format!("slo=\"{slo}\"");
        let alert = ALERTS
            .iter()
            .find(|alert| alert.labels.contains(&label))
            .unwrap();
        let firing = Some(&[(alert.labels, alert.count)][..]);
        let mut case = case(slo, alert.fires, Life::Steady, 119, firing);
        let alerts = [
            ("critical", "1h", "5m", "14.4 times too fast", "50 hours"),
            ("critical", "6h", "30m", "6 times too fast", "5 days"),
            ("warning", "1d", "2h", "3 times too fast", "10 days"),
            ("warning", "3d", "6h", "too fast", "30 days"),
        ];
        let alerts = alerts.map(|(severity, long, short, how_fast, time)| {
            json!({
                "exp_labels": {
                    "job": "service", "slo": slo, "severity": severity, "long": long, "short": short,
                },
                "exp_annotations": {
                    "summary": format!("service: SLO \"{slo}\" burns its error budget {how_fast}"),
                    "description": format!(
                        "In the last {long}, {what}; the objective allows {allowed}. At this rate, the error budget of \
                         30 days is spent in less than {time}. {where_to_look}"
                    ),
                },
            })
        });
        case["alert_rule_test"] = json!([{
            "alertname": "ErrorBudgetBurn",
            "eval_time": "119m",
            "exp_alerts": alerts,
        }]);
        tests.push(case);
    }
    run(&tests);
}
