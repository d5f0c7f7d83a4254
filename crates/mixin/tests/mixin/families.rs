//! Example definitions: the metric families of an application, of a cache and of collectors.

use tower_prometheus::collectors::{ProcessCollector, RuntimeCollector};
use tower_prometheus::model::{FamilyDescription, LabelDescription, MetricKind};

use MetricKind::{Counter, Gauge, Histogram, Info, Summary};

/// `labels` are label names separated by spaces. `name=a,b` is a label with a fixed set of values: `"status=success,failed
/// type"`.
fn family(name: &str, kind: MetricKind, labels: &str, buckets: &[f64]) -> FamilyDescription {
    let labels = labels.split_whitespace();
    let labels = labels.map(|label| match label.split_once('=') {
        None => LabelDescription::new(label.to_owned()),
        Some((name, values)) => {
            LabelDescription::new(name.to_owned()).values(values.split(',').map(str::to_owned))
        }
    });
    let family = FamilyDescription::new(name, kind)
        .help(format!("Value of {name}."))
        .buckets(buckets);
    labels.fold(family, FamilyDescription::label)
}

/// Name without prefix, type, labels, bucket bounds.
type Table<'a> = &'a [(&'a str, MetricKind, &'a str, &'a [f64])];

fn prefixed(prefix: &str, table: Table<'_>) -> Vec<FamilyDescription> {
    let families = table.iter().map(|(name, kind, labels, buckets)| {
        family(&format!("{prefix}{name}"), *kind, labels, buckets)
    });
    families.collect()
}

/// The metric families of an application.
pub(crate) fn aria() -> Vec<FamilyDescription> {
    prefixed(
        "aria_",
        &[
            ("build_info", Info, "version rust engine", &[]),
            ("requests_total", Counter, "method status", &[]),
            (
                "request_duration_seconds",
                Histogram,
                "method",
                &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0],
            ),
            ("requests_in_progress", Gauge, "method", &[]),
            ("llm_requests_total", Counter, "model status", &[]),
            (
                "llm_request_duration_seconds",
                Histogram,
                "model",
                &[0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0],
            ),
            ("llm_tokens_input_total", Counter, "model", &[]),
            ("llm_tokens_output_total", Counter, "model", &[]),
            ("llm_token_cost_estimate_total", Counter, "model", &[]),
            ("llm_circuit_breaker_state", Gauge, "model", &[]),
            ("agent_routing_total", Counter, "selected_agent", &[]),
            ("agent_pheromone_score", Gauge, "agent_id", &[]),
            ("agent_tasks_total", Counter, "agent_id status", &[]),
            ("agents_active", Gauge, "", &[]),
            ("sessions_active", Gauge, "", &[]),
            ("scheduler_jobs_total", Gauge, "status", &[]),
            ("scheduler_executions_total", Counter, "job_id status", &[]),
            ("scheduler_last_run_timestamp", Gauge, "job_id", &[]),
            (
                "db_query_duration_seconds",
                Histogram,
                "operation",
                &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0],
            ),
            ("db_pool_size", Gauge, "", &[]),
            ("db_pool_available", Gauge, "", &[]),
            ("errors_total", Counter, "error_type component", &[]),
            ("memory_rss_bytes", Gauge, "", &[]),
        ],
    )
}

/// The metric families of a cache, with a label that has a fixed set of values, sizes in bytes and a summary.
pub(crate) fn cache() -> Vec<FamilyDescription> {
    prefixed(
        "cache_",
        &[
            ("operations_total", Counter, "cache result=hit,miss", &[]),
            ("entry_size_bytes", Histogram, "cache", &[256.0, 4096.0]),
            ("entries", Gauge, "cache", &[]),
            ("lookup_seconds", Summary, "cache", &[]),
        ],
    )
}

/// The metric families of the collectors of the process and of the runtime, and those that a registry adds for each
/// collector.
pub(crate) fn process() -> Vec<FamilyDescription> {
    let of_collectors = [
        (
            "scrape_collector_success",
            "Whether the collector succeeded (1) or its metrics are missing (0).",
        ),
        (
            "scrape_collector_duration_seconds",
            "Run time of the collector in seconds, until it ended or timed out.",
        ),
    ];
    let of_collectors = of_collectors.map(|(name, help)| {
        FamilyDescription::new(name, Gauge)
            .help(help)
            .label(LabelDescription::new("collector"))
    });
    let collectors = [ProcessCollector::families(), RuntimeCollector::families()];
    collectors
        .concat()
        .into_iter()
        .chain(of_collectors)
        .collect()
}
