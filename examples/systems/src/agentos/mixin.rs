//! AgentOS' dashboard, rules and scrape configuration.

use tower_prometheus::mixin::{
    Dashboard, Mixin, Panel, PanelUnit, Query, Row, RuleGroup, Rules, ScrapeConfig, ScrapeJob,
    Severity,
};
use tower_prometheus::{Error, FamilyDescription};

/// What is deployed for a service with these families.
pub fn mixin(families: &[FamilyDescription]) -> Result<Mixin, Error> {
    let rules = Rules::new(families).job("agentos");
    Ok(Mixin::new()
        .dashboard(dashboard(families))
        .rules(
            "agentos",
            rules.group(RuleGroup::health("agentos-health", families)),
        )
        .scrape_config(
            ScrapeConfig::new()
                .interval("15s")
                .job(ScrapeJob::new("agentos").target("agentos:8000")),
        ))
}

const REQUESTS: &str = "a2a_requests_total";
const DURATION: &str = "a2a_request_duration_seconds";
const ACTIVE: &str = "a2a_active_tasks";
const CACHE: &str = "cache_operations_total";
const LIMIT: &str = "rate_limit_hits_total";

fn dashboard(families: &[FamilyDescription]) -> Dashboard {
    Dashboard::new("agentos-gateway", "AgentOS gateway", families)
        .description("Requests between agents, providers, rate limits and the cache of AgentOS.")
        .tag("agentos")
        .row(overview())
        .row(requests())
        .row(providers())
        .row(limits_and_cache())
}

fn failed() -> Query {
    Query::rate(REQUESTS).without("status", "success")
}

fn denied() -> Query {
    Query::rate(LIMIT).with("result", "denied")
}

fn overview() -> Row {
    Row::new("Overview")
        .panel(
            Panel::stat("Requests (5 m)", PanelUnit::Count)
                .description("Requests of the last 5 minutes. 0: look whether agents still reach the gateway.")
                .query(Query::increase(REQUESTS).over("5m").total()),
        )
        .panel(
            Panel::stat("p95 duration", PanelUnit::Seconds)
                .description("One request in 20 took longer. Yellow: look at which agent; red: agents time out.")
                .threshold(1.0, Severity::Warning)
                .threshold(5.0, Severity::Critical)
                .query(Query::quantile(0.95, DURATION)),
        )
        .panel(
            Panel::stat("Error rate", PanelUnit::Ratio)
                .description("Requests that did not succeed, of all. Above 1 %: look below at when it began.")
                .threshold(0.01, Severity::Warning)
                .threshold(0.05, Severity::Critical)
                .query(Query::ratio(failed(), Query::rate(REQUESTS)).total()),
        )
        .panel(
            Panel::stat("Active tasks", PanelUnit::Count)
                .description("Tasks in progress now. A steady rise: an agent does not finish.")
                .query(Query::value(ACTIVE).total()),
        )
        .panel(
            Panel::stat("Tokens (1 h)", PanelUnit::Count)
                .description("Tokens of the last hour, in and out. A jump costs money: look at the providers.")
                .query(Query::increase("ccr_tokens_total").over("1h").total()),
        )
        .panel(
            Panel::stat("Denials", PanelUnit::RequestsPerSecond)
                .description("Requests refused by rate limits, a second. Above 0: look which endpoint, and whether its limit is right.")
                .threshold(1.0, Severity::Warning)
                .query(denied().total()),
        )
}

fn requests() -> Row {
    let duration = |word: &str, quantile| Query::quantile(quantile, DURATION).legend(word);
    Row::new("Requests")
        .panel(
            Panel::time_series("Requests by agent", PanelUnit::RequestsPerSecond)
                .description("Requests a second. One agent that drops to 0 is down or no longer asked.")
                .stacked()
                .query(Query::rate(REQUESTS).by(["agent"])),
        )
        .panel(
            Panel::time_series("Duration", PanelUnit::Seconds)
                .description("What half, 19 in 20 and 99 in 100 requests do not exceed. Only p99 up: one agent or operation is slow.")
                .query(duration("p50", 0.5))
                .query(duration("p95", 0.95))
                .query(duration("p99", 0.99)),
        )
        .panel(
            Panel::time_series("Active tasks by agent", PanelUnit::Count)
                .description("Tasks in progress. One that only rises does not finish: look at its log.")
                .stacked()
                .query(Query::value(ACTIVE).by(["agent"])),
        )
        .panel(
            Panel::time_series("Success against error", PanelUnit::RequestsPerSecond)
                .description("Requests by how they ended. `cancelled`: callers gave up; `error`: look at the log.")
                .query(Query::rate(REQUESTS).by(["status"])),
        )
}

fn providers() -> Row {
    let requests = || Query::rate("ccr_requests_total");
    Row::new("Providers")
        .panel(
            Panel::time_series("Requests by provider", PanelUnit::RequestsPerSecond)
                .description("Requests a second and how they ended. Errors of one provider: route around it.")
                .query(requests().by(["provider", "status"])),
        )
        .panel(
            Panel::time_series("Tokens by provider", PanelUnit::EventsPerSecond)
                .description("Tokens a second, in and out. A jump costs money: look at the task types beside.")
                .query(Query::rate("ccr_tokens_total").by(["provider", "direction"])),
        )
        .panel(
            Panel::time_series("Latency p95 by provider", PanelUnit::Seconds)
                .description("One request in 20 took longer. A provider that stays slow: prefer another.")
                .query(Query::quantile(0.95, "ccr_latency_seconds").by(["provider"])),
        )
        .panel(
            Panel::time_series("Requests by task type", PanelUnit::RequestsPerSecond)
                .description("What providers are asked for. A type that jumps: look at who sends it.")
                .stacked()
                .query(requests().by(["task_type"])),
        )
}

fn limits_and_cache() -> Row {
    let hits = Query::rate(CACHE).with("result", "hit");
    Row::new("Rate limit and cache")
        .panel(
            Panel::time_series("Rate limit decisions", PanelUnit::RequestsPerSecond)
                .size(6, 8)
                .description("Requests let through and refused. Many denials at one endpoint: look whether its limit is right.")
                .query(Query::rate(LIMIT).by(["endpoint", "result"])),
        )
        .panel(
            Panel::time_series("Cache hits and misses", PanelUnit::EventsPerSecond)
                .size(6, 8)
                .description("Look-ups a second. Misses up, hits down: entries expire too soon or keys have changed.")
                .query(Query::rate(CACHE).by(["result"])),
        )
        .panel(
            Panel::gauge("Cache hit ratio", PanelUnit::Ratio)
                .size(6, 8)
                .min(0.0)
                .max(1.0)
                .description("Hits of all look-ups. Near 0 the cache only costs: look at what its keys are made of.")
                .query(Query::ratio(hits, Query::rate(CACHE)).total()),
        )
        .panel(
            Panel::time_series("Cache latency p95", PanelUnit::Seconds)
                .size(6, 8)
                .description("One operation in 20 took longer. Up: the cache's store is slow or far.")
                .query(Query::quantile(0.95, "cache_latency_seconds").by(["operation"])),
        )
}
