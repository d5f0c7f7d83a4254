//! Aria's dashboard, rules and scrape configuration.

use tower_prometheus::mixin::{
    Dashboard, Mixin, Panel, PanelUnit, Query, RuleGroup, Rules, ScrapeConfig, ScrapeJob, Severity,
};
use tower_prometheus::{Error, FamilyDescription};

/// What is deployed for a service with these families.
pub fn mixin(families: &[FamilyDescription]) -> Result<Mixin, Error> {
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

/// The window of rates and quantiles here, whatever the dashboard is zoomed to.
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
            .description("Requests a second by method. A sudden drop: look whether clients still reach the engine.")
            .query(Query::rate("aria_requests_total").over(WINDOW).by(["method"])),
        p95("Request duration p95", "aria_request_duration_seconds", "method")
            .description("One request in 20 took longer. Up together with the models' latency: they are what is slow."),
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
        Panel::time_series("LLM token usage", PanelUnit::EventsPerSecond)
            .description("Tokens a second, in and out. A jump costs money: look which agent is routed to more often.")
            .query(tokens("aria_llm_tokens_input_total", "in"))
            .query(tokens("aria_llm_tokens_output_total", "out")),
        p95("LLM latency p95", "aria_llm_request_duration_seconds", "model")
            .description("To the first token when streaming. One model alone: its provider is slow; switch if it stays."),
    ]
}

fn state() -> Vec<Panel> {
    let resident = Query::value("aria_memory_rss_bytes").max_by(["instance"]);
    vec![
        Panel::stat("Active sessions", PanelUnit::Count)
            .size(6, 6)
            .description("Sessions that are open. 0 in working hours: look whether users can log in.")
            .query(Query::value("aria_sessions_active").total()),
        Panel::stat("Active agents", PanelUnit::Count)
            .size(6, 6)
            .description("Agents that take tasks. Fewer than are deployed: look at the log of the missing ones.")
            .query(Query::value("aria_agents_active").total()),
        Panel::stat("Error rate", PanelUnit::EventsPerSecond)
            .size(6, 6)
            .description("Errors a second, of all components. Yellow: look at `aria_errors_total` by component; red: now.")
            .threshold(0.01, Severity::Warning)
            .threshold(0.1, Severity::Critical)
            .query(Query::rate("aria_errors_total").over(WINDOW).total()),
        Panel::stat("Memory (RSS)", PanelUnit::Other("decmbytes"))
            .size(6, 6)
            .description("Resident memory in MB. Yellow: look what grew; red: it will be killed at its limit.")
            .threshold(300.0, Severity::Warning)
            .threshold(450.0, Severity::Critical)
            .query(resident / 1e6),
    ]
}

fn agents() -> Vec<Panel> {
    let routed = Query::increase("aria_agent_routing_total").over("1h");
    vec![
        Panel::bar_gauge("Pheromone scores", PanelUnit::Count)
            .description("How well agents are thought of. One near 0 gets no tasks: look at how its last ones ended.")
            .query(Query::value("aria_agent_pheromone_score").max_by(["agent_id"])),
        Panel::pie_chart("Routing distribution (1 h)", PanelUnit::Count)
            .description("Which agents were chosen in the last hour. One that has all: look at the scores beside.")
            .query(routed.by(["selected_agent"])),
    ]
}

fn jobs_and_database() -> Vec<Panel> {
    let pool = |family: &str, legend: &str| Query::value(family).total().legend(legend);
    vec![
        Panel::table("Scheduler job status", PanelUnit::Count)
            .size(8, 8)
            .description("Jobs by status. Failed ones: `aria_scheduler_executions_total` says which job.")
            .query(Query::value("aria_scheduler_jobs_total").by(["status"])),
        p95("Database latency p95", "aria_db_query_duration_seconds", "operation")
            .size(8, 8)
            .description("One query in 20 took longer. Up with an empty pool: queries wait for a connection."),
        Panel::time_series("Database pool", PanelUnit::Count)
            .size(8, 8)
            .description("Connections there are, and those that are free. None free: requests wait; raise the pool or find who holds them.")
            .query(pool("aria_db_pool_size", "size"))
            .query(pool("aria_db_pool_available", "available")),
    ]
}
