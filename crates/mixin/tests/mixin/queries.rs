//! PromQL of queries; errors for invalid queries, panels, rules and objectives.

use tower_prometheus::{
    HttpMetrics,
    model::{FamilyDescription, MetricKind},
};
use tower_prometheus_mixin::{
    Dashboard, Definitions, Panel, PanelUnit, Query, Rule, RuleGroup, Rules, Severity, Slo,
};

use crate::families;

#[expect(
    clippy::needless_pass_by_value,
    reason = "callers create the query in the argument"
)]
fn promql(query: Query) -> Result<String, String> {
    let definitions = Definitions::from(families::aria());
    let promql = query
        .to_promql(&definitions)
        .map_err(|error| error.to_string())?;
    promql_parser::parser::parse(&promql)?;
    Ok(promql)
}

#[track_caller]
fn assert_rejected(query: Query, expected: &str) {
    assert_eq!(promql(query).unwrap_err(), expected);
}

#[test]
fn queries_are_converted_to_promql() {
    let rate = || Query::rate("aria_requests_total");
    let duration = "aria_request_duration_seconds";
    for (query, expected) in [
        (rate(), "rate(aria_requests_total[5m])"),
        (rate().sum(), "sum(rate(aria_requests_total[5m]))"),
        (
            rate().by(["method"]).over("1h30m"),
            "sum by (method) (rate(aria_requests_total[1h30m]))",
        ),
        (
            rate().with("status", "200").without("method", "a\"b\\c"),
            r#"rate(aria_requests_total{status="200",method!="a\"b\\c"}[5m])"#,
        ),
        (
            rate()
                .matching("status", "5..")
                .not_matching("method", "x|y"),
            "rate(aria_requests_total{status=~\"5..\",method!~\"x|y\"}[5m])",
        ),
        (
            Query::increase(duration),
            "increase(aria_request_duration_seconds_count[5m])",
        ),
        (
            Query::quantile(0.95, duration)
                .by(["method"])
                .with("method", "chat"),
            "histogram_quantile(0.95, sum by (le, method) (rate(aria_request_duration_seconds_bucket{method=\"chat\"}[5m])))",
        ),
        (
            Query::mean(duration),
            "sum(rate(aria_request_duration_seconds_sum[5m])) / sum(rate(aria_request_duration_seconds_count[5m]))",
        ),
        (
            Query::fraction_below(0.25, duration),
            "sum(rate(aria_request_duration_seconds_bucket{le=\"0.25\"}[5m])) / sum(rate(aria_request_duration_seconds_count[5m]))",
        ),
        // The label `le` is `1` in the text format and `1.0` in OpenMetrics: the matcher must match both.
        (
            Query::fraction_below(1.0, duration),
            "sum(rate(aria_request_duration_seconds_bucket{le=~\"1|1[.]0\"}[5m])) / sum(rate(aria_request_duration_seconds_count[5m]))",
        ),
        (
            Query::ratio(rate().with("status", "500"), rate()).by(["method"]),
            "(sum by (method) (rate(aria_requests_total{status=\"500\"}[5m])) or (sum by (method) (rate(aria_requests_total[5m])) * 0)) / sum by (method) (rate(aria_requests_total[5m]))",
        ),
        (
            Query::value("aria_agent_pheromone_score").quantile_by::<String>(0.5, []),
            "quantile(0.5, aria_agent_pheromone_score)",
        ),
        (
            Query::value("aria_agent_pheromone_score").top(3),
            "topk(3, aria_agent_pheromone_score)",
        ),
        (
            Query::value("aria_db_pool_available") / Query::value("aria_db_pool_size"),
            "aria_db_pool_available / aria_db_pool_size",
        ),
        (Query::up().equal_to(0.0), "up == 0"),
        (
            Query::up().with("job", "aria").absent(),
            "absent(up{job=\"aria\"})",
        ),
        (
            Query::value("aria_sessions_active").absent(),
            "absent(aria_sessions_active)",
        ),
        // Only the existence matters, so the type does not.
        (
            Query::value("aria_requests_total")
                .with("method", "chat")
                .absent()
                .by(["method"]),
            "sum by (method) (absent(aria_requests_total{method=\"chat\"}))",
        ),
        (
            Query::value(duration).absent(),
            "absent(aria_request_duration_seconds_count)",
        ),
        (
            rate().sum().absent(),
            "absent(sum(rate(aria_requests_total[5m])))",
        ),
        (
            Query::now() - Query::value("aria_scheduler_last_run_timestamp").max_by(["job_id"]),
            "time() - max by (job_id) (aria_scheduler_last_run_timestamp)",
        ),
    ] {
        assert_eq!(promql(query).unwrap(), expected);
    }
}

#[test]
fn undefined_names_are_rejected() {
    assert_rejected(
        Query::rate("aria_request_total"),
        "no metric family \"aria_request_total\" among the 23 defined; did you mean \"aria_requests_total\"?",
    );
    assert_rejected(
        Query::rate("aria_requests_total").by(["path"]),
        "\"aria_requests_total\" has no label \"path\"; its labels are \"instance\", \"job\", \"method\", \"status\"",
    );
    assert_rejected(
        Query::rate("aria_requests_total").with("path", "/"),
        "\"aria_requests_total\" has no label \"path\"; its labels are \"instance\", \"job\", \"method\", \"status\"",
    );
    // The inner sum does not keep the label.
    assert_rejected(
        Query::rate("aria_requests_total")
            .by(["method"])
            .max_by(["status"]),
        "\"aria_requests_total\" has no label \"status\"; its labels are \"method\"",
    );
    let cache = Definitions::from(families::cache());
    let query = Query::rate("cache_operations_total").with("result", "hits");
    assert_eq!(
        query.to_promql(&cache).unwrap_err().to_string(),
        "label \"result\" of \"cache_operations_total\" is never \"hits\"; its values are \"hit\", \"miss\"",
    );
    let query = Query::rate("cache_operations_total").without("result", "miss");
    assert!(query.to_promql(&cache).is_ok());
}

#[test]
fn functions_that_do_not_fit_the_metric_type_are_rejected() {
    assert_rejected(
        Query::value("aria_requests_total"),
        "counter \"aria_requests_total\" has no value: query its rate or increase",
    );
    // A gauge whose name ends with `_total`, like a counter's.
    assert_rejected(
        Query::rate("aria_scheduler_jobs_total"),
        "gauge \"aria_scheduler_jobs_total\" has no rate: query its value",
    );
    assert_rejected(
        Query::quantile(0.5, "aria_requests_total"),
        "counter \"aria_requests_total\" has no quantile: only a histogram has one",
    );
    assert!(promql(Query::value("aria_request_duration_seconds")).is_err());
    assert!(promql(Query::mean("aria_sessions_active")).is_err());
    assert!(promql(Query::fraction_below(1.0, "aria_sessions_active")).is_err());
    assert!(promql(Query::quantile(95.0, "aria_request_duration_seconds")).is_err());
    assert!(promql(Query::from(1.0).max_by(["job"])).is_err());
    for range in ["", "5", "m", "5 m", "0m", "5m1h", "-5m", "1.5h"] {
        let query = Query::rate("aria_requests_total").over(range);
        assert!(
            promql(query).unwrap_err().contains("is not a duration"),
            "{range}"
        );
    }
}

#[test]
fn operands_with_different_labels_are_rejected() {
    let sessions = Query::value("aria_sessions_active");
    let scores = Query::value("aria_agent_pheromone_score");
    assert_rejected(
        sessions.clone() - scores.clone(),
        "the operands of `-` have different labels, so no series match: the left has \"instance\", \"job\", the \
         right has \"agent_id\", \"instance\", \"job\"; aggregate both by the same labels",
    );
    assert!(promql(sessions.sum() - scores.sum()).is_ok());
}

/// As in Prometheus, the labels of the result are those that the selector sets to one value.
#[test]
fn absent_keeps_only_labels_with_a_selected_value() {
    let rate = || Query::rate("aria_requests_total");
    let value = || Query::value("aria_requests_total");
    for (query, label) in [
        (value().absent(), "method"),
        (value().matching("method", "chat").absent(), "method"),
        (value().without("method", "chat").absent(), "method"),
        (
            value()
                .with("method", "chat")
                .with("method", "tool")
                .absent(),
            "method",
        ),
        (rate().with("method", "chat").absent(), "method"),
        (Query::up().absent(), "job"),
    ] {
        let error = promql(query.by([label])).unwrap_err();
        assert!(error.contains("its labels are none"), "{error}");
    }
    assert_rejected(
        Query::value("aria_request_total").absent(),
        "no metric family \"aria_request_total\" among the 23 defined; did you mean \"aria_requests_total\"?",
    );
    for number in [Query::now(), Query::from(1.5)] {
        let error = promql(number.absent()).unwrap_err();
        assert!(error.contains("is a number: it is never absent"), "{error}");
    }
}

#[test]
fn unreachable_quantile_thresholds_are_rejected() {
    let p99 = || Query::quantile(0.99, "aria_request_duration_seconds").by(["method"]);
    // The last finite bucket bound is 30.
    assert_rejected(
        p99().above(30.0),
        "a quantile of \"aria_request_duration_seconds\" is never > 30: it does not exceed the last finite bucket \
         bound, 30; use `at_least(30)` or a lower threshold",
    );
    assert!(promql(p99().at_least(31.0)).is_err());
    assert!(promql(p99().at_least(30.0)).is_ok());
    assert!(promql(p99().above(29.0)).is_ok());
    assert!(promql(p99().below(100.0)).is_ok());
}

#[test]
fn fraction_below_needs_a_bucket_bound() {
    let fraction = |bound| Query::fraction_below(bound, "aria_request_duration_seconds");
    let error = |bound| promql(fraction(bound)).unwrap_err();
    assert!(error(0.3).ends_with("the nearest are 0.25 and 0.5"));
    assert!(error(0.001).ends_with("the nearest is 0.01"));
    assert!(error(60.0).ends_with("the nearest is 30"));
    // Prometheus 3 rewrites very small and very large bounds to Go's notation.
    let family = FamilyDescription::new("size_bytes", MetricKind::Histogram).buckets([
        0.00002,
        256.0,
        1_048_576.0,
    ]);
    let definitions = Definitions::new([family]);
    for (bound, matcher) in [
        (0.00002, "le=~\"0[.]00002|2e-5|2e-05\""),
        (256.0, "le=~\"256|256[.]0\""),
        (
            1_048_576.0,
            "le=~\"1048576|1048576[.]0|1[.]048576e6|1[.]048576e[+]06\"",
        ),
    ] {
        let promql = Query::fraction_below(bound, "size_bytes").to_promql(&definitions);
        let promql = promql.unwrap();
        assert!(promql.contains(matcher), "{promql}");
    }
}

fn panel() -> Panel {
    Panel::time_series("Requests", PanelUnit::RequestsPerSecond)
        .description("Requests per second.")
        .query(Query::rate("aria_requests_total").by(["method"]))
}

#[track_caller]
#[expect(
    clippy::needless_pass_by_value,
    reason = "callers create the dashboard in the argument"
)]
fn assert_dashboard_error(dashboard: Dashboard, expected: &str) {
    assert_eq!(dashboard.to_json().unwrap_err().to_string(), expected);
    assert!(dashboard.to_api_json().is_err());
}

#[test]
fn dashboard_errors_name_the_panel() {
    let dashboard = || Dashboard::new("aria", "Aria", families::aria());
    assert!(dashboard().panel(panel()).to_json().is_ok());
    let location = "dashboard \"Aria\": panel \"Requests\": ";
    for (panel, expected) in [
        (
            Panel::stat("Requests", PanelUnit::Count).query(Query::up()),
            "description is missing",
        ),
        (
            panel()
                .threshold(2.0, Severity::Warning)
                .threshold(1.0, Severity::Critical),
            "thresholds must be in increasing order, got 1 after 2",
        ),
        (
            panel().query(
                Query::rate("aria_requests_total")
                    .by(["method"])
                    .legend("{{status}}"),
            ),
            "legend \"{{status}}\": the query does not keep the label \"status\"; it keeps \"method\"",
        ),
    ] {
        assert_dashboard_error(dashboard().panel(panel), &format!("{location}{expected}"));
    }
    assert_dashboard_error(
        dashboard(),
        "dashboard \"Aria\": no panel queries a metric family; add a query",
    );
    assert_dashboard_error(
        Dashboard::new("a b", "Aria", families::aria()).panel(panel()),
        "dashboard \"Aria\": uid must be 1 to 40 letters, digits, '-' and '_', got \"a b\"",
    );
    assert!(
        dashboard()
            .refresh("often")
            .panel(panel())
            .to_json()
            .is_err()
    );
    // A constant label of the registry can be used only if it is defined as a common label.
    let by_service = || panel().query(Query::rate("aria_requests_total").by(["service"]));
    assert!(dashboard().panel(by_service()).to_json().is_err());
    let common = Definitions::from(families::aria()).common_label("service");
    assert!(
        Dashboard::new("aria", "Aria", common)
            .panel(by_service())
            .to_json()
            .is_ok()
    );
    let mut changed = families::aria();
    changed[1].labels.clear();
    let conflicting = Definitions::from(families::aria()).and(changed);
    let error = Dashboard::new("aria", "Aria", conflicting)
        .panel(panel())
        .to_json()
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("\"aria_requests_total\" is the name of two different metric families")
    );
}

#[test]
fn rule_errors_name_the_rule() {
    let query = || Query::rate("aria_requests_total").by(["method"]).above(1.0);
    let alert = || {
        Rule::alert("Busy", query())
            .severity(Severity::Warning)
            .summary("{{ $labels.method }}")
            .description("Look.")
    };
    let yaml = |rules: &[Rule]| {
        let group = rules
            .iter()
            .cloned()
            .fold(RuleGroup::new("aria"), RuleGroup::rule);
        let rules = Rules::new(families::aria()).group(group);
        rules.to_yaml().map_err(|error| error.to_string())
    };
    assert!(yaml(&[alert()]).is_ok());
    let error_of = |rules: &[Rule]| yaml(rules).unwrap_err();
    assert_eq!(
        error_of(&[Rule::alert("Busy", query())]),
        "rule \"Busy\": severity is missing"
    );
    assert_eq!(
        error_of(&[alert().summary("")]),
        "rule \"Busy\": summary is missing"
    );
    assert_eq!(
        error_of(&[alert().description("")]),
        "rule \"Busy\": description is missing"
    );
    assert_eq!(
        error_of(&[alert().summary("{{ $labels.model }}")]),
        "rule \"Busy\": template \"{{ $labels.model }}\": the query does not keep the label \"model\"; it keeps \"method\"",
    );
    assert!(error_of(&[Rule::alert("very busy", query())]).contains("must be letters and digits"));
    assert!(error_of(&[alert().for_duration("soon")]).contains("is not a duration"));
    assert!(
        error_of(&[alert(), alert()])
            .contains("two rules have the name \"Busy\" and the same labels")
    );
    assert!(error_of(&[Rule::record("busy", query())]).contains("level:metric:operations"));
    // Later rules can use the labels of a recorded series that its rule keeps.
    let record = || {
        Rule::record(
            "method:aria_requests:rate5m",
            Query::rate("aria_requests_total").by(["method"]),
        )
    };
    let recorded = |label: &str| {
        Rule::record(
            "all:aria_requests:max",
            Query::value("method:aria_requests:rate5m").max_by([label]),
        )
    };
    assert!(yaml(&[record(), recorded("method")]).is_ok());
    assert!(error_of(&[recorded("method"), record()]).contains("no metric family"));
    assert!(error_of(&[record(), recorded("status")]).contains("has no label"));
}

#[test]
fn settings_of_alerts_are_rejected_on_recording_rules() {
    let record = || {
        Rule::record(
            "method:aria_requests:rate5m",
            Query::rate("aria_requests_total").by(["method"]),
        )
    };
    let yaml = |rule: Rule| {
        let rules = Rules::new(families::aria()).group(RuleGroup::new("aria").rule(rule));
        rules.to_yaml().map_err(|error| error.to_string())
    };
    assert!(yaml(record()).unwrap().contains("record: "));
    for (rule, setting) in [
        (record().for_duration("5m"), "for_duration"),
        (record().summary("Busy"), "summary"),
        (record().description("Look."), "description"),
        (record().runbook_url("https://wiki.example"), "runbook_url"),
    ] {
        assert_eq!(
            yaml(rule).unwrap_err(),
            format!(
                "rule \"method:aria_requests:rate5m\": {setting} is only for alerts, and this is a recording rule; \
                 remove it, or use `Rule::alert`"
            )
        );
    }
}

#[test]
fn runbook_urls_are_annotations() {
    let alert = |name: &str| {
        Rule::alert(name, Query::up().equal_to(0.0))
            .severity(Severity::Warning)
            .summary("Down")
            .description("Look.")
    };
    let yaml = |group: RuleGroup| {
        let rules = Rules::new(families::aria()).group(group);
        rules.to_yaml().map_err(|error| error.to_string())
    };
    let group = || RuleGroup::new("aria").runbook_url("https://wiki.example/{alert}");
    let own = alert("Own").runbook_url("http://runbooks/own?a=1");
    let recorded = Rule::record("job:up:sum", Query::up().by(["job"]));
    let text = yaml(group().rule(alert("Down")).rule(own).rule(recorded)).unwrap();
    let urls = test_support::rules::yaml_values(&text, "runbook_url: ");
    assert_eq!(
        urls,
        ["https://wiki.example/Down", "http://runbooks/own?a=1"]
    );
    assert!(
        !yaml(RuleGroup::new("aria").rule(alert("Down")))
            .unwrap()
            .contains("runbook")
    );
    for url in ["", "wiki.example/down", "file:///etc"] {
        let error = yaml(RuleGroup::new("aria").rule(alert("Down").runbook_url(url))).unwrap_err();
        assert_eq!(
            error,
            format!(
                "rule \"Down\": runbook_url must start with \"https://\" or \"http://\", got {url:?}"
            )
        );
    }
    // All alerts of an objective.
    let http = HttpMetrics::server();
    let slo = Slo::http_availability("http", 0.99, &http).unwrap();
    let slo = slo.runbook_url("https://wiki.example/slo").group().unwrap();
    let rules = Rules::new(http.families().unwrap()).group(slo);
    let text = rules.to_yaml().unwrap();
    assert_eq!(
        text.matches("runbook_url: https://wiki.example/slo")
            .count(),
        4
    );
}

#[test]
fn rules_of_a_job_reject_queries_of_another_job() {
    let alert = |query: Query| {
        Rule::alert("Down", query)
            .severity(Severity::Warning)
            .summary("{{ $labels.job }}")
            .description("Look.")
    };
    let yaml = |query: Query| {
        let rules = Rules::new(families::aria()).job("aria");
        let rules = rules.group(RuleGroup::new("aria").rule(alert(query)));
        rules.to_yaml().map_err(|error| error.to_string())
    };
    let absent = |job: &str| Query::up().with("job", job).absent();
    // The matcher is not repeated, because Prometheus then drops the label from the result of `absent`.
    assert!(
        yaml(absent("aria"))
            .unwrap()
            .contains("expr: absent(up{job=\"aria\"})\n")
    );
    assert!(
        yaml(Query::up().absent())
            .unwrap()
            .contains("absent(up{job=\"aria\"})")
    );
    assert_eq!(
        yaml(absent("other")).unwrap_err(),
        "rule \"Down\": \"up\" is selected with the job \"other\", but the rules are restricted to \"aria\", so no \
         series matches"
    );
}

#[test]
fn alerts_on_missing_targets_need_a_job() {
    let yaml = |rules: Rules| {
        let families = families::aria();
        rules
            .group(RuleGroup::health("health", &families))
            .to_yaml()
            .unwrap()
    };
    let rules = || Rules::new(families::aria());
    assert!(!yaml(rules()).contains("absent"));
    assert!(yaml(rules().job("aria")).contains("expr: absent(up{job=\"aria\"})"));
    // One alert for each job of a file.
    let group = RuleGroup::new("jobs")
        .rule(Rule::targets_missing("api"))
        .rule(Rule::targets_missing("workers"));
    let text = yaml(rules().group(group));
    assert!(
        text.contains("absent(up{job=\"api\"})") && text.contains("absent(up{job=\"workers\"})")
    );
}

#[test]
fn invalid_objectives_are_rejected() {
    let http = HttpMetrics::server();
    let group = |objective| {
        Slo::http_availability("http", objective, &http)
            .unwrap()
            .group()
    };
    assert!(group(0.94).is_ok());
    for objective in [0.0, 0.9, 0.93, 1.0, 99.9, f64::NAN] {
        let error = group(objective).unwrap_err().to_string();
        assert!(error.contains("above 0.9306"), "{error}");
        let slo = Slo::http_availability("http", objective, &http).unwrap();
        assert_eq!(slo.row().unwrap_err().to_string(), error);
    }
    let without_durations =
        HttpMetrics::server().without(tower_prometheus::http::HttpMetric::Duration);
    assert!(Slo::http_latency("http", 0.99, 0.25, &without_durations).is_err());
    let without_requests =
        HttpMetrics::server().without(tower_prometheus::http::HttpMetric::Requests);
    assert!(Slo::http_availability("http", 0.99, &without_requests).is_err());
    // With the status on durations, the histogram's count replaces the counter of requests.
    assert!(Slo::http_availability("http", 0.99, without_requests.status_on_durations()).is_ok());
}

/// The source allows programs to distinguish an invalid layer configuration from an invalid query.
#[test]
fn layer_errors_are_kept_as_source() {
    let invalid = HttpMetrics::server().prefix("9");
    let layer_error = invalid.families().unwrap_err();
    let error = Dashboard::http("shop", "Shop", &invalid).unwrap_err();
    assert_eq!(error.to_string(), layer_error.to_string());
    assert!(!error.is_io());
    let source = std::error::Error::source(&error).unwrap();
    assert!(source.is::<tower_prometheus::Error>());
    // tower-prometheus also checks label names; the message names the rule.
    let rule = Rule::record(
        "job:aria_requests:rate5m",
        Query::rate("aria_requests_total"),
    )
    .label("9", "");
    let rules = Rules::new(families::aria()).group(RuleGroup::new("aria").rule(rule));
    let error = rules.to_yaml().unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("rule \"job:aria_requests:rate5m\": invalid label name \"9\""),
        "{error}"
    );
    assert!(std::error::Error::source(&error).is_some());
}
