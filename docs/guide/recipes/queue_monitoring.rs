use tower_prometheus_mixin::{Panel, PanelUnit, Query, Row, Rule, RuleGroup, Severity};

/// The panels of all queues.
pub fn row() -> Row {
    let by_queue = |query: Query| query.by(["instance", "queue"]);
    Row::new("Queues")
        .panel(
            Panel::time_series("Items in the queue", PanelUnit::Count)
                .description("Items that wait, and the capacity. At the capacity, senders wait.")
                .query(by_queue(Query::value("queue_length")).legend("{{queue}} {{instance}}: length"))
                .query(by_queue(Query::value("queue_capacity")).legend("{{queue}} {{instance}}: capacity")),
        )
        .panel(
            Panel::time_series("Age of the oldest item", PanelUnit::Seconds)
                .description("How long the next item has waited. If it rises by 1 second per second, the receiver processes no items.")
                .threshold(60.0, Severity::Warning)
                .query(Query::value("queue_oldest_item_age_seconds").max_by(["instance", "queue"])),
        )
        .panel(
            Panel::time_series("Processed items", PanelUnit::OpsPerSecond)
                .description("Items per second, by outcome. The log has the errors.")
                .query(Query::rate("queue_items_total").by(["queue", "outcome"])),
        )
        .panel(
            Panel::time_series("Duration, p95", PanelUnit::Seconds)
                .description("95 % of the items are processed in this time. If it rises, the queue grows.")
                .query(Query::quantile(0.95, "queue_item_duration_seconds").by(["queue"])),
        )
}

/// The alerts of all queues.
pub fn alerts() -> RuleGroup {
    let age = Query::value("queue_oldest_item_age_seconds").max_by(["job", "instance", "queue"]);
    let items = Query::rate("queue_items_total").by(["job", "queue"]);
    let failed = Query::rate("queue_items_total")
        .matching("outcome", "error|panicked")
        .by(["job", "queue"]);
    RuleGroup::new("queues")
        .rule(
            Rule::alert("QueueDelayed", age.above(60.0))
                .for_duration("2m")
                .severity(Severity::Warning)
                .summary("{{ $labels.job }}: items wait {{ $value | humanizeDuration }} in queue {{ $labels.queue }} on {{ $labels.instance }}")
                .description("The oldest item has waited for more than a minute, for 2 minutes. If no items are processed, the receiver hangs or has ended: see the log. If items are processed, they arrive faster than they are processed: see their duration."),
        )
        .rule(
            Rule::alert("QueueItemsFail", Query::ratio(failed, items).above(0.05))
                .for_duration("10m")
                .severity(Severity::Warning)
                .summary("{{ $labels.job }}: {{ $value | humanizePercentage }} of the items of queue {{ $labels.queue }} fail")
                .description("For 10 minutes, more than 5 % of the processed items ended with an error or a panic. The log has the errors."),
        )
}
