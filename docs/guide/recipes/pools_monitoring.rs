use tower_prometheus_mixin::{Panel, PanelUnit, Query, Row, Rule, RuleGroup, Severity};

const LABELS: [&str; 3] = ["job", "instance", "pool"];

fn connections(state: &str) -> Query {
    Query::value("db_pool_connections").with("state", state)
}

/// The panels of all pools.
pub fn row() -> Row {
    let by_pool = |query: Query| query.by(["instance", "pool"]);
    Row::new("Connection pools")
        .panel(
            Panel::time_series("Connections", PanelUnit::Count)
                .description("Connections in use, idle ones, and the maximum. If all are in use, tasks wait: look for slow queries and long transactions.")
                .query(by_pool(connections("in_use")).legend("{{pool}} {{instance}}: in use"))
                .query(by_pool(connections("idle")).legend("{{pool}} {{instance}}: idle"))
                .query(by_pool(Query::value("db_pool_connections_max")).legend("{{pool}} {{instance}}: maximum")),
        )
        .panel(
            Panel::time_series("Waiting tasks", PanelUnit::Count)
                .description("Tasks that wait for a connection. A lasting queue means that the pool is too small, or the database too slow.")
                .query(by_pool(Query::value("db_pool_waiting"))),
        )
        .panel(
            Panel::time_series("Timeouts", PanelUnit::OpsPerSecond)
                .description("Tasks per second that did not get a connection in time. If the database is up, see the panel of connections.")
                .threshold(0.001, Severity::Warning)
                .query(by_pool(Query::rate("db_pool_timeouts_total"))),
        )
        .panel(
            Panel::time_series("Database up", PanelUnit::Bool)
                .description("Whether the database accepts a new connection. If only some instances are down, look at their network.")
                .min(0.0)
                .max(1.0)
                .query(Query::value("db_pool_up").min_by(["instance", "pool"])),
        )
}

/// The alerts of all pools.
pub fn alerts() -> RuleGroup {
    let up = Query::value("db_pool_up").by(LABELS);
    let timeouts = Query::increase("db_pool_timeouts_total").by(LABELS);
    let full = Query::value("db_pool_connections_max").by(LABELS) * 0.9;
    let exhausted = timeouts
        .above(0.0)
        .and(connections("in_use").by(LABELS).at_least(full))
        .and(up.clone().equal_to(1.0));
    RuleGroup::new("pools")
        .rule(
            Rule::alert("DatabaseDown", up.equal_to(0.0))
                .for_duration("2m")
                .severity(Severity::Critical)
                .summary("{{ $labels.job }}: {{ $labels.instance }} cannot connect to the database {{ $labels.pool }}")
                .description("New connections have failed or timed out for 2 minutes. Check whether the database runs. If other instances can connect, check the network of this one, and the connection limit of the database."),
        )
        .rule(
            Rule::alert("PoolExhausted", exhausted)
                .for_duration("2m")
                .severity(Severity::Warning)
                .summary("{{ $labels.job }}: all connections of pool {{ $labels.pool }} on {{ $labels.instance }} are in use")
                .description("In 5 minutes, {{ $value | humanize }} tasks did not get a connection in time. The database accepts connections. Look for slow queries and long transactions; if there are none, enlarge the pool."),
        )
}
