use tower_prometheus_mixin::{Panel, PanelUnit, Query, Row, Rule, RuleGroup, Severity};

fn throttled() -> Query {
    Query::rate("cgroup_cpu_throttled_periods_total") / Query::rate("cgroup_cpu_periods_total")
}

/// The panels of the cgroup.
pub fn row() -> Row {
    Row::new("Limits of the container")
        .panel(
            Panel::time_series("Memory", PanelUnit::Bytes)
                .description("Memory without page cache that can be freed, and the limit. At the limit, the kernel kills processes.")
                .query(Query::value("cgroup_memory_working_set_bytes").legend("{{instance}}: working set"))
                .query(Query::value("cgroup_memory_limit_bytes").legend("{{instance}}: limit")),
        )
        .panel(
            Panel::time_series("CPU throttling", PanelUnit::Ratio)
                .description("Share of the periods in which the CPU limit stopped the service. Requests are slow meanwhile: raise the limit, or reduce the number of threads.")
                .threshold(0.25, Severity::Warning)
                .query(throttled()),
        )
        .panel(
            Panel::time_series("CPU limit", PanelUnit::Count)
                .description("CPU limit in cores. The service can use more threads than that, and is throttled then.")
                .query(Query::value("cgroup_cpu_limit_cores")),
        )
        .panel(
            Panel::time_series("OOM kills", PanelUnit::Count)
                .description("Processes that were killed for lack of memory, within the interval of the panel.")
                .threshold(0.5, Severity::Critical)
                .query(Query::increase("cgroup_oom_kills_total")),
        )
}

/// The alerts of the cgroup.
pub fn alerts() -> RuleGroup {
    let used =
        Query::value("cgroup_memory_working_set_bytes") / Query::value("cgroup_memory_limit_bytes");
    RuleGroup::new("cgroup")
        .rule(
            Rule::alert("MemoryNearLimit", used.above(0.9))
                .for_duration("5m")
                .severity(Severity::Warning)
                .summary("{{ $labels.job }}: {{ $labels.instance }} uses {{ $value | humanizePercentage }} of its memory limit")
                .description("At 100 %, the kernel kills the service. If its memory rises without end, it leaks: restart it and look for the cause. Otherwise raise the limit."),
        )
        .rule(
            Rule::alert("OomKill", Query::increase("cgroup_oom_kills_total").over("15m").above(0.0))
                .severity(Severity::Critical)
                .summary("{{ $labels.job }}: a process of {{ $labels.instance }} was killed for lack of memory")
                .description("A process of the container was killed in the last 15 minutes, and the container continued. The log of the kernel names the process."),
        )
        .rule(
            Rule::alert("CpuThrottled", throttled().above(0.25))
                .for_duration("15m")
                .severity(Severity::Warning)
                .summary("{{ $labels.job }}: the CPU limit stops {{ $labels.instance }} in {{ $value | humanizePercentage }} of all periods")
                .description("Requests take longer because of the CPU limit, for 15 minutes. Raise the limit or add instances. If the CPU use is below the limit, reduce the number of threads: many threads use up the quota of a period at once."),
        )
}
