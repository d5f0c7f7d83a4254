//! A day of a service that works: no alert fires. promtool evaluates the generated rules once per minute. The series start
//! six hours earlier, because with a history of minutes, a single slow request exceeds the allowed ratio of every window.
//!
//! | time | event |
//! |---|---|
//! | whole day | load between 1 and 19 requests per second per instance, with its minimum at 04:00; 0.01 % of the requests fail; 0.4 % are slow |
//! | whole day | a client leaves response bodies unread; gRPC streams last for minutes |
//! | 03:00 to 03:20 | a scanner requests unknown paths, methods and gRPC methods, 40 times per second |
//! | 10:00 and 15:30 | a rolling deployment: each instance is down for 2 minutes, some requests fail, then caches are cold |
//! | 13:00 to 13:04 | no scrape succeeds |
//! | 17:00 to 17:10 | clients disconnect: 10 % of the requests are cancelled |

use std::fmt::Write;

use serde_json::{Value, json};
use test_support::skip_without;
use test_support::store::{Directory, promtool};

use crate::generated::layers_directory;

const DAY: i32 = 24 * 60;

/// Minutes before the day.
const HISTORY: i32 = 6 * 60;

/// What happens to an instance in a minute.
struct Minute {
    /// Whether the process runs.
    is_up: bool,
    /// Whether the scrape succeeds.
    is_scraped: bool,
    /// Minutes since the process has started.
    age: u32,
    requests: f64,
    is_scanned: bool,
    is_disconnecting: bool,
    /// The share of requests that fail: 0 except in an outage.
    outage: f64,
}

/// Returns the minutes of an instance. A deployment restarts the second instance 4 minutes after the first one.
fn day(instance: i32, outage: impl Fn(i32) -> f64) -> Vec<Minute> {
    let mut age = 1000;
    let minutes = -HISTORY..DAY;
    minutes
        .map(|minute| {
            let deployments = [10 * 60, 15 * 60 + 30].map(|start| start + 4 * instance);
            let is_up = !deployments
                .iter()
                .any(|start| (*start..start + 2).contains(&minute));
            age = if is_up { age + 1 } else { 0 };
            let angle = f64::from(minute) / f64::from(DAY) * std::f64::consts::TAU;
            let four_o_clock = std::f64::consts::TAU * 4.0 / 24.0;
            Minute {
                is_up,
                is_scraped: is_up && !(13 * 60..13 * 60 + 4).contains(&minute),
                age,
                requests: 60.0 * (10.0 - 9.0 * (angle - four_o_clock).cos()),
                is_scanned: (3 * 60..3 * 60 + 20).contains(&minute),
                is_disconnecting: (17 * 60..17 * 60 + 10).contains(&minute),
                outage: outage(minute),
            }
        })
        .collect()
}

/// Returns promtool's notation of a counter with this increase in each minute. It starts at 0 with the process, and counts
/// whole events.
fn counter(day: &[Minute], increase: impl Fn(&Minute) -> f64) -> String {
    let mut total = 0.0;
    let mut notation = String::new();
    for minute in day {
        total = if minute.is_up {
            total + increase(minute)
        } else {
            0.0
        };
        // `stale` marks the end of a series, as Prometheus does after a failed scrape.
        match minute.is_scraped {
            true => write!(notation, "{:.0} ", f64::floor(total)).unwrap(),
            false => notation.push_str("stale "),
        }
    }
    notation
}

fn gauge(day: &[Minute], value: impl Fn(&Minute) -> f64) -> String {
    let mut notation = String::new();
    for minute in day {
        write!(notation, "{} ", value(minute)).unwrap();
    }
    notation
}

/// A process with cold caches is slow for its first three minutes, and refuses some requests in the first.
fn slow(minute: &Minute) -> f64 {
    if minute.age <= 3 { 0.06 } else { 0.004 }
}

fn failed(minute: &Minute) -> f64 {
    let at_start = if minute.age == 1 { 0.01 } else { 0.0 };
    0.0001 + at_start + minute.outage
}

/// The requests of a scanner per minute.
const SCANNER: f64 = 40.0 * 60.0;

fn series(instance: i32, day: &[Minute]) -> Vec<Value> {
    let target = format!("job=\"service\",instance=\"{instance}\"");
    let mut all = Vec::new();
    let mut add = |name: &str, labels: &str, values: String| {
        let labels = if labels.is_empty() {
            target.clone()
        } else {
            format!("{target},{labels}")
        };
        all.push(json!({ "series": format!("{name}{{{labels}}}"), "values": values }));
    };
    let scanned = |minute: &Minute| if minute.is_scanned { SCANNER } else { 0.0 };
    add(
        "up",
        "",
        gauge(day, |minute| f64::from(u8::from(minute.is_scraped))),
    );
    // Half of the requests go to each of two endpoints.
    for endpoint in ["/", "/orders/{id}"] {
        let labels = format!("method=\"GET\",endpoint=\"{endpoint}\"");
        let status = |status: &str| format!("{labels},status=\"{status}\"");
        let half = |minute: &Minute| minute.requests / 2.0;
        let cancelled = |minute: &Minute| if minute.is_disconnecting { 0.1 } else { 0.002 };
        let http = "http_requests_total";
        add(
            http,
            &status("200"),
            counter(day, |m| half(m) * (0.99 - failed(m) - cancelled(m))),
        );
        add(http, &status("404"), counter(day, |m| half(m) * 0.01));
        add(http, &status("500"), counter(day, |m| half(m) * failed(m)));
        add(
            http,
            &status("cancelled"),
            counter(day, |m| half(m) * cancelled(m)),
        );
        let duration = "http_request_duration_seconds";
        let bucket = |le: &str| format!("{labels},le=\"{le}\"");
        let buckets = format!("{duration}_bucket");
        add(
            &buckets,
            &bucket("0.25"),
            counter(day, |m| half(m) * (1.0 - slow(m))),
        );
        add(&buckets, &bucket("+Inf"), counter(day, half));
        add(&format!("{duration}_count"), &labels, counter(day, half));
    }
    let unmatched = "method=\"OTHER\",endpoint=\"unmatched\"";
    add(
        "http_requests_total",
        &format!("{unmatched},status=\"404\""),
        counter(day, scanned),
    );
    for (name, le) in [
        ("_bucket", ",le=\"0.25\""),
        ("_bucket", ",le=\"+Inf\""),
        ("_count", ""),
    ] {
        let labels = format!("{unmatched}{le}");
        add(
            &format!("http_request_duration_seconds{name}"),
            &labels,
            counter(day, scanned),
        );
    }
    let overflow = "family=\"http_requests_total\",label=\"endpoint\"";
    add(
        "metrics_label_overflow_total",
        overflow,
        counter(day, |_| 0.0),
    );
    add(
        "scrape_collector_success",
        "collector=\"process\"",
        counter(day, |_| 0.0).replace('0', "1"),
    );
    let unread = "endpoint=\"/\",reason=\"unread\"";
    add(
        "http_client_response_bodies_aborted_total",
        unread,
        counter(day, |m| m.requests / 10.0),
    );
    // gRPC: as many unary calls as requests; one stream in 20 calls, which all last for minutes.
    let method =
        |kind: &str| format!("grpc_type=\"{kind}\",grpc_service=\"s\",grpc_method=\"{kind}\"");
    let code = |kind: &str, code: &str| format!("{},grpc_code=\"{code}\"", method(kind));
    let handled = "grpc_server_handled_total";
    add(
        handled,
        &code("unary", "OK"),
        counter(day, |m| m.requests * (1.0 - failed(m))),
    );
    add(
        handled,
        &code("unary", "Internal"),
        counter(day, |m| m.requests * failed(m)),
    );
    add(
        handled,
        &code("server_stream", "OK"),
        counter(day, |m| m.requests / 20.0),
    );
    add(
        handled,
        &code("unknown", "Unimplemented"),
        counter(day, scanned),
    );
    let handling = |end: &str| format!("grpc_server_handling_seconds_{end}");
    let le = |kind: &str| format!("{},le=\"1.0\"", method(kind));
    add(
        &handling("bucket"),
        &le("unary"),
        counter(day, |m| m.requests * (1.0 - slow(m))),
    );
    add(
        &handling("count"),
        &method("unary"),
        counter(day, |m| m.requests),
    );
    add(
        &handling("bucket"),
        &le("server_stream"),
        counter(day, |_| 0.0),
    );
    add(
        &handling("count"),
        &method("server_stream"),
        counter(day, |m| m.requests / 20.0),
    );
    add(&handling("bucket"), &le("unknown"), counter(day, scanned));
    add(
        &handling("count"),
        &method("unknown"),
        counter(day, scanned),
    );
    all
}

/// Runs the rules over two instances, every `interval` minutes. `expected` are alerts that have fired at any time, and how
/// many.
#[track_caller]
fn run(interval: i32, outage: impl Fn(i32) -> f64, expected: &Value) {
    let directory = Directory::new();
    let rules = std::fs::read_to_string(layers_directory().join("rules/service.yml")).unwrap();
    directory.write("service.yml", &rules);
    let series = [0, 1].map(|instance| series(instance, &day(instance, &outage)));
    let end = format!("{}m", HISTORY + DAY - 1);
    let evaluations = DAY / interval - 20;
    let test = json!({
        "interval": "1m",
        "input_series": series.concat(),
        "promql_expr_test": [{
            "expr": "count by (alertname, slo, long) (count_over_time(ALERTS{alertstate=\"firing\"}[1d]))",
            "eval_time": end,
            "exp_samples": expected,
        }, {
            // The rules had data for the whole day, except for scrapes that failed.
            "expr": format!("count_over_time(job:http_requests:rate5m[1d]) > bool {evaluations}"),
            "eval_time": end,
            "exp_samples": [{ "labels": "{job=\"service\"}", "value": 1 }],
        }, {
            "expr": format!("count(count_over_time(job:slo_errors:ratio_rate3d[1d]) > {evaluations})"),
            "eval_time": end,
            "exp_samples": [{ "labels": "{}", "value": 4 }],
        }],
    });
    // JSON is YAML.
    let file = json!({
        "rule_files": ["service.yml"],
        "evaluation_interval": format!("{interval}m"),
        "tests": [test],
    });
    directory.write("day.yml", &file.to_string());
    promtool(&["test", "rules", "day.yml"], &directory.0);
}

#[test]
fn no_alert_fires_on_an_ordinary_day() {
    skip_without!(Promtool);
    run(1, |_| 0.0, &json!([]));
}

/// The same day with a fault, so that the test above can fail: from 20:00 on, 10 % of the requests fail for 10 minutes.
#[test]
fn an_outage_on_that_day_fires() {
    skip_without!(Promtool);
    let outage = |minute| match (20 * 60..20 * 60 + 10).contains(&minute) {
        true => 0.1,
        false => 0.0,
    };
    let burn = |slo: &str, long: &str| {
        let labels = format!("{{alertname=\"ErrorBudgetBurn\",slo=\"{slo}\",long=\"{long}\"}}");
        json!({ "labels": labels, "value": 1 })
    };
    let expected = json!([burn("grpc", "1h"), burn("http", "1h"),]);
    run(5, outage, &expected);
}
