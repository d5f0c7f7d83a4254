//! ZeroState's dashboard, alerts, cookbook and scrape configuration.

use tower_prometheus::model::FamilyDescription;
use tower_prometheus_mixin::{
    Dashboard, Mixin, Query, Rule, RuleGroup, Rules, ScrapeConfig, ScrapeJob, Severity,
};

/// Builds the files to deploy for a service with these metric families.
pub fn mixin(families: &[FamilyDescription]) -> Result<Mixin, tower_prometheus_mixin::Error> {
    let rules = Rules::new(families)
        .job("zerostate-api")
        .group(alerts())
        // Without an alert on overflow: each auction has a new id, so `auction_id` always overflows.
        .group(RuleGroup::health("zerostate-health", families));
    Ok(Mixin::new()
        .dashboard(
            Dashboard::of_families("zerostate-economy", "ZeroState economy", families)
                .description("Channels, payments, auctions, tasks and escrow of ZeroState.")
                .tag("zerostate"),
        )
        .rules("zerostate", rules)
        .scrape_config(
            ScrapeConfig::new().interval("15s").job(
                ScrapeJob::new("zerostate-api")
                    .target("zerostate-api:443")
                    .https(),
            ),
        ))
}

/// Returns the name of a metric family with its prefix.
fn economic(family: &str) -> String {
    format!("zerostate_economic_{family}")
}

fn rate(family: &str) -> Query {
    Query::rate(economic(family))
}

fn quantile(quantile: f64, family: &str) -> Query {
    Query::quantile(quantile, economic(family))
}

fn alerts() -> RuleGroup {
    let opened = Query::increase(economic("channels_total")).over("1h");
    let settled = Query::increase(economic("settlements_total")).over("1h");
    RuleGroup::new("zerostate-economy")
        .rule(
            Rule::alert("HighTaskFailureRate", rate("task_errors_total").sum().above(0.1))
                .for_duration("5m")
                .severity(Severity::Critical)
                .summary("Tasks fail {{ printf \"%.2f\" $value }} times per second")
                .description("More than one task in 10 seconds fails. See `task_errors_total` by type and error."),
        )
        .rule(
            // Sums, because the labels of the two sides differ and no series would match.
            Rule::alert("PaymentChannelLeaks", (opened.sum() - settled.sum()).above(10.0))
                .for_duration("1h")
                .severity(Severity::Warning)
                .summary("{{ $value | humanize }} more channels were opened than settled in an hour")
                .description("Channels are opened and never settled, so their deposits stay locked. See the open channels by party."),
        )
        .rule(
            // The last finite bucket bound is 10 s, and a quantile never exceeds it.
            Rule::alert("SlowTaskExecution", quantile(0.99, "task_duration_seconds").at_least(10.0))
                .for_duration("10m")
                .severity(Severity::Warning)
                .summary("1 % of tasks take 10 s or longer")
                .description("See `task_duration_seconds` by type, and what the slowest type waits for."),
        )
}

/// Common questions, and the queries that answer them.
pub fn cookbook() -> [(&'static str, Query); 12] {
    let completed = || rate("tasks_completed_total");
    [
        ("task completion rate", completed().by(["type", "status"])),
        (
            "task errors by type",
            rate("task_errors_total").by(["type", "error"]),
        ),
        (
            "task duration p99",
            quantile(0.99, "task_duration_seconds").by(["type"]),
        ),
        (
            "active channels by state",
            Query::value(economic("channels_active")).by(["state"]),
        ),
        (
            "channels opened per second",
            rate("channels_total").by(["party"]),
        ),
        (
            "payment duration p95",
            quantile(0.95, "payment_duration_seconds"),
        ),
        (
            "median reputation",
            Query::value(economic("reputation_scores")).quantile_by::<String>(0.5, []),
        ),
        (
            "success rate by agent",
            Query::value(economic("success_rate")).avg_by(["peer_id"]),
        ),
        (
            "tasks by agent",
            rate("tasks_executed_total").by(["peer_id"]),
        ),
        (
            "auctions by type",
            rate("auctions_total").by(["type", "status"]),
        ),
        ("bids per second", rate("bids_total").sum()),
        ("average bid", Query::mean(economic("bid_amount"))),
    ]
}
