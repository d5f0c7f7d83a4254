//! What a query asks for is there, or an error says what is there instead.

use tower_prometheus::mixin::{
    Dashboard, Definitions, Panel, PanelUnit, Query, Rule, RuleGroup, Rules, Severity, Slo,
};
use tower_prometheus::{FamilyDescription, FamilyKind, HttpMetrics, LabelDescription, LabelValues};

use crate::families;

#[expect(
    clippy::needless_pass_by_value,
    reason = "queries are made where they are asked"
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
fn assert_refused(query: Query, because: &str) {
    assert_eq!(promql(query).unwrap_err(), because);
}

#[test]
fn queries_become_promql() {
    let rate = || Query::rate("aria_requests_total");
    let duration = "aria_request_duration_seconds";
    for (query, expected) in [
        (rate(), "rate(aria_requests_total[5m])"),
        (rate().total(), "sum(rate(aria_requests_total[5m]))"),
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
            Query::share_within(0.25, duration),
            "sum(rate(aria_request_duration_seconds_bucket{le=\"0.25\"}[5m])) / sum(rate(aria_request_duration_seconds_count[5m]))",
        ),
        // The text format writes 1, OpenMetrics 1.0: both are found.
        (
            Query::share_within(1.0, duration),
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
            Query::now() - Query::value("aria_scheduler_last_run_timestamp").max_by(["job_id"]),
            "time() - max by (job_id) (aria_scheduler_last_run_timestamp)",
        ),
    ] {
        assert_eq!(promql(query).unwrap(), expected);
    }
}

#[test]
fn what_is_not_defined_is_refused() {
    assert_refused(
        Query::rate("aria_request_total"),
        "there is no family \"aria_request_total\" among the 23 defined; the nearest is \"aria_requests_total\"",
    );
    assert_refused(
        Query::rate("aria_requests_total").by(["path"]),
        "label \"path\" is asked for, which \"aria_requests_total\" does not have; it has \"instance\", \"job\", \"method\", \"status\"",
    );
    assert_refused(
        Query::rate("aria_requests_total").with("path", "/"),
        "label \"path\" is asked for, which \"aria_requests_total\" does not have; it has \"instance\", \"job\", \"method\", \"status\"",
    );
    // A label that an inner sum has lost.
    assert_refused(
        Query::rate("aria_requests_total")
            .by(["method"])
            .max_by(["status"]),
        "label \"status\" is asked for, which \"aria_requests_total\" does not have; it has \"method\"",
    );
    let mut cache = FamilyDescription::new("cache_operations_total", FamilyKind::Counter);
    cache.labels = vec![LabelDescription {
        name: "result".into(),
        values: LabelValues::Closed(["hit", "miss"].map(Into::into).into()),
    }];
    let query = Query::rate("cache_operations_total").with("result", "hits");
    assert_eq!(
        query
            .to_promql(&Definitions::from(vec![cache]))
            .unwrap_err()
            .to_string(),
        "label \"result\" of \"cache_operations_total\" is never \"hits\"; it is one of \"hit\", \"miss\"",
    );
}

#[test]
fn what_a_kind_does_not_have_is_refused() {
    assert_refused(
        Query::value("aria_requests_total"),
        "counter \"aria_requests_total\" is asked for its value, which it does not have: ask for its rate or increase",
    );
    // A gauge whose name ends like a counter's.
    assert_refused(
        Query::rate("aria_scheduler_jobs_total"),
        "gauge \"aria_scheduler_jobs_total\" is asked for its rate, which it does not have: ask for its value",
    );
    assert_refused(
        Query::quantile(0.5, "aria_requests_total"),
        "counter \"aria_requests_total\" is asked for a quantile, which it does not have: a histogram has one",
    );
    assert!(promql(Query::value("aria_request_duration_seconds")).is_err());
    assert!(promql(Query::mean("aria_sessions_active")).is_err());
    assert!(promql(Query::share_within(1.0, "aria_sessions_active")).is_err());
    assert!(promql(Query::quantile(95.0, "aria_request_duration_seconds")).is_err());
    assert!(promql(Query::from(1.0).max_by(["job"])).is_err());
    for wrong in ["", "5", "m", "5 m", "0m", "5m1h", "-5m", "1.5h"] {
        let query = Query::rate("aria_requests_total").over(wrong);
        assert!(
            promql(query).unwrap_err().contains("is no duration"),
            "{wrong}"
        );
    }
}

#[test]
fn two_sides_that_cannot_meet_are_refused() {
    let sessions = Query::value("aria_sessions_active");
    let scores = Query::value("aria_agent_pheromone_score");
    assert_refused(
        sessions.clone() - scores.clone(),
        "the two sides of `-` have different labels, \"instance\", \"job\" and \"agent_id\", \"instance\", \"job\", \
         so no series finds its partner: aggregate both by the same",
    );
    assert!(promql(sessions.total() - scores.total()).is_ok());
}

#[test]
fn a_quantile_is_compared_with_what_it_can_reach() {
    let p99 = || Query::quantile(0.99, "aria_request_duration_seconds").by(["method"]);
    // Buckets end at 30.
    assert_refused(
        p99().above(30.0),
        "a quantile of \"aria_request_duration_seconds\" is never > 30: it does not exceed the last finite bound, 30; \
         ask for `at_least(30)`, or for less",
    );
    assert!(promql(p99().at_least(31.0)).is_err());
    assert!(promql(p99().at_least(30.0)).is_ok());
    assert!(promql(p99().above(29.0)).is_ok());
    assert!(promql(p99().below(100.0)).is_ok());
}

#[test]
fn a_share_is_of_a_bucket() {
    let share = |bound| Query::share_within(bound, "aria_request_duration_seconds");
    let nearest = |bound| promql(share(bound)).unwrap_err();
    assert!(nearest(0.3).ends_with("the nearest are 0.25 and 0.5"));
    assert!(nearest(0.001).ends_with("the nearest is 0.01"));
    assert!(nearest(60.0).ends_with("the nearest is 30"));
    // As Prometheus 3 rewrites what is very small or large.
    let mut family = FamilyDescription::new("size_bytes", FamilyKind::Histogram);
    family.buckets = vec![0.00002, 256.0, 1_048_576.0];
    let definitions = Definitions::new([family]);
    for (bound, matcher) in [
        (0.00002, "le=~\"0[.]00002|2e-5|2e-05\""),
        (256.0, "le=~\"256|256[.]0\""),
        (
            1_048_576.0,
            "le=~\"1048576|1048576[.]0|1[.]048576e6|1[.]048576e[+]06\"",
        ),
    ] {
        let promql = Query::share_within(bound, "size_bytes").to_promql(&definitions);
        let promql = promql.unwrap();
        assert!(promql.contains(matcher), "{promql}");
    }
}

fn panel() -> Panel {
    Panel::time_series("Requests", PanelUnit::RequestsPerSecond)
        .description("Requests a second.")
        .query(Query::rate("aria_requests_total").by(["method"]))
}

#[track_caller]
#[expect(
    clippy::needless_pass_by_value,
    reason = "dashboards are made where they are refused"
)]
fn assert_no_dashboard(dashboard: Dashboard, because: &str) {
    assert_eq!(dashboard.to_json().unwrap_err().to_string(), because);
    assert!(dashboard.to_api_json().is_err());
}

#[test]
fn a_dashboard_says_which_panel_is_wrong() {
    let dashboard = || Dashboard::new("aria", "Aria", families::aria());
    assert!(dashboard().panel(panel()).to_json().is_ok());
    let about = "panel \"Requests\" of dashboard \"Aria\": ";
    for (panel, because) in [
        (
            Panel::stat("Requests", PanelUnit::Count).query(Query::up()),
            "it has no description",
        ),
        (
            panel()
                .threshold(2.0, Severity::Warning)
                .threshold(1.0, Severity::Critical),
            "its thresholds do not rise",
        ),
        (
            panel().query(
                Query::rate("aria_requests_total")
                    .by(["method"])
                    .legend("{{status}}"),
            ),
            "its legend \"{{status}}\" names the label \"status\", which is not left; there is \"method\"",
        ),
    ] {
        assert_no_dashboard(dashboard().panel(panel), &format!("{about}{because}"));
    }
    assert_no_dashboard(
        dashboard(),
        "dashboard \"Aria\": it has no panel that asks for a family",
    );
    assert_no_dashboard(
        Dashboard::new("a b", "Aria", families::aria()).panel(panel()),
        "dashboard \"Aria\": uid \"a b\" is not allowed: it is 1 to 40 letters, digits, '-' and '_'",
    );
    assert!(
        dashboard()
            .refresh("often")
            .panel(panel())
            .to_json()
            .is_err()
    );
    // A label that the registry has as a constant one can be asked for, once it is said.
    let by_service = || panel().query(Query::rate("aria_requests_total").by(["service"]));
    assert!(dashboard().panel(by_service()).to_json().is_err());
    let common = Definitions::from(families::aria()).common_label("service");
    assert!(
        Dashboard::new("aria", "Aria", common)
            .panel(by_service())
            .to_json()
            .is_ok()
    );
    let mut other = families::aria();
    other[1].labels.clear();
    let both = Definitions::from(families::aria()).and(other);
    let error = Dashboard::new("aria", "Aria", both)
        .panel(panel())
        .to_json()
        .unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("two different families called \"aria_requests_total\"")
    );
}

#[test]
fn rules_say_what_they_lack() {
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
    let refused = |rules: &[Rule]| yaml(rules).unwrap_err();
    assert_eq!(
        refused(&[Rule::alert("Busy", query())]),
        "rule \"Busy\": it has no severity"
    );
    assert_eq!(
        refused(&[alert().summary("")]),
        "rule \"Busy\": it has no summary"
    );
    assert_eq!(
        refused(&[alert().description("")]),
        "rule \"Busy\": it has no description"
    );
    assert_eq!(
        refused(&[alert().summary("{{ $labels.model }}")]),
        "rule \"Busy\": \"{{ $labels.model }}\" names the label \"model\", which is not left; there is \"method\", \"severity\"",
    );
    assert!(refused(&[Rule::alert("very busy", query())]).contains("one word"));
    assert!(refused(&[alert().lasting("soon")]).contains("is no duration"));
    assert!(
        refused(&[alert(), alert()]).contains("two rules called \"Busy\" with the same labels")
    );
    assert!(refused(&[Rule::record("busy", query())]).contains("level:metric:operations"));
    // A recorded series can be asked for by rules after it, with the labels that are left.
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
    assert!(refused(&[recorded("method"), record()]).contains("there is no family"));
    assert!(refused(&[record(), recorded("status")]).contains("does not have"));
}

#[test]
fn objectives_that_cannot_be_alerted_on_are_refused() {
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
    }
    let silent = HttpMetrics::server().without(tower_prometheus::Family::Duration);
    assert!(Slo::http_latency("http", 0.99, 0.25, &silent).is_err());
    let blind = HttpMetrics::server().without(tower_prometheus::Family::Requests);
    assert!(Slo::http_availability("http", 0.99, &blind).is_err());
    // With the status on durations, their count tells as much.
    assert!(Slo::http_availability("http", 0.99, blind.status_on_durations()).is_ok());
}
