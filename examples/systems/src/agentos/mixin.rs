//! AgentOS' dashboard, rules and scrape configuration.

use tower_prometheus::model::FamilyDescription;
use tower_prometheus_mixin::{
    Dashboard, Mixin, Panel, PanelUnit, Query, Row, RuleGroup, Rules, ScrapeConfig, ScrapeJob,
    Severity,
};

/// Builds the files to deploy for a service with these metric families.
pub fn mixin(families: &[FamilyDescription]) -> Result<Mixin, tower_prometheus_mixin::Error> {
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
                .description("Requests in the last 5 minutes. If 0: check whether agents still reach the gateway.")
                .query(Query::increase(REQUESTS).over("5m").sum()),
        )
        .panel(
            Panel::stat("p95 duration", PanelUnit::Seconds)
                .description("5 % of requests took longer. Yellow: find the slow agent below. Red: agents time out.")
                .threshold(1.0, Severity::Warning)
                .threshold(5.0, Severity::Critical)
                .query(Query::quantile(0.95, DURATION)),
        )
        .panel(
            Panel::stat("Error rate", PanelUnit::Ratio)
                .description("Share of requests that did not succeed. Above 1 %: see below when it started.")
                .threshold(0.01, Severity::Warning)
                .threshold(0.05, Severity::Critical)
                .query(Query::ratio(failed(), Query::rate(REQUESTS)).sum()),
        )
        .panel(
            Panel::stat("Active tasks", PanelUnit::Count)
                .description("Tasks in progress. A steady rise means that an agent does not finish.")
                .query(Query::value(ACTIVE).sum()),
        )
        .panel(
            Panel::stat("Tokens (1 h)", PanelUnit::Count)
                .description("Input and output tokens in the last hour. A jump costs money: see the providers below.")
                .query(Query::increase("ccr_tokens_total").over("1h").sum()),
        )
        .panel(
            Panel::stat("Denials", PanelUnit::RequestsPerSecond)
                .description("Requests per second that rate limits denied. Above 0: check which endpoint, and whether its limit is right.")
                .threshold(1.0, Severity::Warning)
                .query(denied().sum()),
        )
}

fn requests() -> Row {
    let duration = |word: &str, quantile| Query::quantile(quantile, DURATION).legend(word);
    Row::new("Requests")
        .panel(
            Panel::time_series("Requests by agent", PanelUnit::RequestsPerSecond)
                .description("Requests per second. An agent that drops to 0 is down or gets no requests.")
                .stacked()
                .query(Query::rate(REQUESTS).by(["agent"])),
        )
        .panel(
            Panel::time_series("Duration", PanelUnit::Seconds)
                .description("Durations that 50 %, 95 % and 99 % of requests do not exceed. If only p99 rises, one agent or operation is slow.")
                .query(duration("p50", 0.5))
                .query(duration("p95", 0.95))
                .query(duration("p99", 0.99)),
        )
        .panel(
            Panel::time_series("Active tasks by agent", PanelUnit::Count)
                .description("Tasks in progress. An agent whose tasks only rise does not finish them: see its log.")
                .stacked()
                .query(Query::value(ACTIVE).by(["agent"])),
        )
        .panel(
            Panel::time_series("Success against error", PanelUnit::RequestsPerSecond)
                .description("Requests by final status. `cancelled`: the caller disconnected. `error`: see the log.")
                .query(Query::rate(REQUESTS).by(["status"])),
        )
}

fn providers() -> Row {
    let requests = || Query::rate("ccr_requests_total");
    Row::new("Providers")
        .panel(
            Panel::time_series("Requests by provider", PanelUnit::RequestsPerSecond)
                .description(
                    "Requests per second, by final status. If one provider fails, route around it.",
                )
                .query(requests().by(["provider", "status"])),
        )
        .panel(
            Panel::time_series("Tokens by provider", PanelUnit::OpsPerSecond)
                .description(
                    "Input and output tokens per second. A jump costs money: see the task types.",
                )
                .query(Query::rate("ccr_tokens_total").by(["provider", "direction"])),
        )
        .panel(
            Panel::time_series("Latency p95 by provider", PanelUnit::Seconds)
                .description(
                    "5 % of requests took longer. If a provider stays slow, prefer another.",
                )
                .query(Query::quantile(0.95, "ccr_latency_seconds").by(["provider"])),
        )
        .panel(
            Panel::time_series("Requests by task type", PanelUnit::RequestsPerSecond)
                .description("Requests per second. If a type jumps, find the agent that sends it.")
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
                .description("Requests allowed and denied. Many denials at one endpoint: check its limit.")
                .query(Query::rate(LIMIT).by(["endpoint", "result"])),
        )
        .panel(
            Panel::time_series("Cache hits and misses", PanelUnit::OpsPerSecond)
                .size(6, 8)
                .description("Look-ups per second. More misses and fewer hits: entries expire too soon, or keys have changed.")
                .query(Query::rate(CACHE).by(["result"])),
        )
        .panel(
            Panel::gauge("Cache hit ratio", PanelUnit::Ratio)
                .size(6, 8)
                .min(0.0)
                .max(1.0)
                .description("Share of look-ups that are hits. Near 0 the cache is useless: check its keys.")
                .query(Query::ratio(hits, Query::rate(CACHE)).sum()),
        )
        .panel(
            Panel::time_series("Cache latency p95", PanelUnit::Seconds)
                .size(6, 8)
                .description("5 % of operations took longer. If it rises, the store of the cache is slow.")
                .query(Query::quantile(0.95, "cache_latency_seconds").by(["operation"])),
        )
}
