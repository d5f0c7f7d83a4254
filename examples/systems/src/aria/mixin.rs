//! Aria's dashboard, rules and scrape configuration.

use tower_prometheus::model::FamilyDescription;
use tower_prometheus_mixin::{
    Dashboard, Mixin, Panel, PanelUnit, Query, RuleGroup, Rules, ScrapeConfig, ScrapeJob, Severity,
};

/// Builds the files to deploy for a service with these metric families.
pub fn mixin(families: &[FamilyDescription]) -> Result<Mixin, tower_prometheus_mixin::Error> {
    let rules = Rules::new(families).job("aria");
    Ok(Mixin::new()
        .dashboard(dashboard(families))
        .rules(
            "aria",
            rules.group(RuleGroup::health("aria-health", families)),
        )
        .scrape_config(
            ScrapeConfig::new()
                .interval("15s")
                .job(ScrapeJob::new("aria").target("aria:8081")),
        ))
}

/// The range of rates and quantiles, independent of the dashboard's time range.
const WINDOW: &str = "5m";

fn dashboard(families: &[FamilyDescription]) -> Dashboard {
    let dashboard = Dashboard::new("aria-engine-prod", "Aria engine", families)
        .description("Requests, language models, agents, jobs and the database of Aria.")
        .tag("aria")
        .refresh("30s");
    let panels = [requests(), llm(), state(), agents(), jobs_and_database()];
    panels
        .into_iter()
        .flatten()
        .fold(dashboard, Dashboard::panel)
}

fn p95(title: &str, family: &str, by: &str) -> Panel {
    Panel::time_series(title, PanelUnit::Seconds)
        .query(Query::quantile(0.95, family).over(WINDOW).by([by]))
}

fn requests() -> Vec<Panel> {
    vec![
        Panel::time_series("Request rate", PanelUnit::RequestsPerSecond)
            .description("Requests per second, by method. A sudden drop: check whether clients still reach the engine.")
            .query(Query::rate("aria_requests_total").over(WINDOW).by(["method"])),
        p95("Request duration p95", "aria_request_duration_seconds", "method")
            .description("5 % of requests took longer. If the LLM latency rises too, the models are slow."),
    ]
}

fn llm() -> Vec<Panel> {
    let tokens = |family: &str, direction: &str| {
        Query::rate(family)
            .over(WINDOW)
            .by(["model"])
            .legend(format!("{direction} {{{{model}}}}"))
    };
    vec![
        Panel::time_series("LLM token usage", PanelUnit::OpsPerSecond)
            .description("Input and output tokens per second. A jump costs money: see which agent is selected more often.")
            .query(tokens("aria_llm_tokens_input_total", "in"))
            .query(tokens("aria_llm_tokens_output_total", "out")),
        p95("LLM latency p95", "aria_llm_request_duration_seconds", "model")
            .description("5 % of calls took longer; of streams, to the first token. If one model is slow for long, switch its provider."),
    ]
}

fn state() -> Vec<Panel> {
    let resident = Query::value("aria_memory_rss_bytes").max_by(["instance"]);
    vec![
        Panel::stat("Active sessions", PanelUnit::Count)
            .size(6, 6)
            .description("Open sessions. If 0 in working hours: check whether users can log in.")
            .query(Query::value("aria_sessions_active").sum()),
        Panel::stat("Active agents", PanelUnit::Count)
            .size(6, 6)
            .description("Agents that accept tasks. If fewer than deployed: see the logs of the missing ones.")
            .query(Query::value("aria_agents_active").sum()),
        Panel::stat("Error rate", PanelUnit::OpsPerSecond)
            .size(6, 6)
            .description("Errors per second of all components. Yellow: see `aria_errors_total` by component. Red: do it now.")
            .threshold(0.01, Severity::Warning)
            .threshold(0.1, Severity::Critical)
            .query(Query::rate("aria_errors_total").over(WINDOW).sum()),
        Panel::stat("Memory (RSS)", PanelUnit::Other("decmbytes"))
            .size(6, 6)
            .description("Resident memory in MB. Yellow: find what grows. Red: the process is close to its limit and will be killed.")
            .threshold(300.0, Severity::Warning)
            .threshold(450.0, Severity::Critical)
            .query(resident / 1e6),
    ]
}

fn agents() -> Vec<Panel> {
    let routed = Query::increase("aria_agent_routing_total").over("1h");
    vec![
        Panel::bar_gauge("Pheromone scores", PanelUnit::Count)
            .description("Scores of the agents. An agent near 0 gets no tasks: see how its last tasks ended.")
            .query(Query::value("aria_agent_pheromone_score").max_by(["agent_id"])),
        Panel::pie_chart("Routing distribution (1 h)", PanelUnit::Count)
            .description("Selected agents in the last hour. If one agent gets all tasks: see the scores.")
            .query(routed.by(["selected_agent"])),
    ]
}

fn jobs_and_database() -> Vec<Panel> {
    let pool = |family: &str, legend: &str| Query::value(family).sum().legend(legend);
    vec![
        Panel::table("Scheduler job status", PanelUnit::Count)
            .size(8, 8)
            .description("Jobs by status. Failed ones: `aria_scheduler_executions_total` says which job.")
            .query(Query::value("aria_scheduler_jobs_total").by(["status"])),
        p95("Database latency p95", "aria_db_query_duration_seconds", "operation")
            .size(8, 8)
            .description("5 % of queries took longer. If the pool is exhausted too, queries wait for a connection."),
        Panel::time_series("Database pool", PanelUnit::Count)
            .size(8, 8)
            .description("All and idle connections. If none is idle, requests wait: enlarge the pool, or find the code that holds connections.")
            .query(pool("aria_db_pool_size", "size"))
            .query(pool("aria_db_pool_available", "available")),
    ]
}
