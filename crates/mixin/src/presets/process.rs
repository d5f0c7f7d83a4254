//! Dashboard of process, runtime and collectors; alerts for scrapes, collectors and labels.

use tower_prometheus::model::FamilyDescription;

use super::common::OVERFLOW;
use super::families;
use crate::dashboard::Dashboard;
use crate::definitions::Definitions;
use crate::panel::{Panel, PanelUnit, Row};
use crate::query::Query;
use crate::rules::{Rule, RuleGroup};
use crate::severity::Severity;

impl Dashboard {
    /// Creates a dashboard of the process, the tokio runtime and the collectors.
    ///
    /// | row | panels |
    /// |---|---|
    /// | Process | processors, memory, open files, time since start; every other defined `process_…` family |
    /// | Runtime | every defined `tokio_…` family |
    /// | Collectors | success and duration of each collector |
    ///
    /// Only families in `definitions` have panels, because not every platform has all of them. Families with other names
    /// are ignored. If none of these families is defined, [`to_json`](Self::to_json) returns an error.
    pub fn process(
        uid: impl Into<String>,
        title: impl Into<String>,
        definitions: impl Into<Definitions>,
    ) -> Self {
        let definitions = definitions.into();
        let rows = [
            process(definitions.families()),
            row_of_prefix(definitions.families(), "tokio_", "Runtime"),
            collectors(definitions.families()),
        ];
        let rows = rows.into_iter().filter(|row| !row.panels.is_empty());
        let dashboard = Self::new(uid, title, definitions.clone())
            .description("Each instance's process and runtime.")
            .tag("process");
        rows.fold(dashboard, Self::row)
    }
}

impl RuleGroup {
    /// Creates alerts for problems of the metrics themselves: failed scrapes, failed collectors, labels beyond their limit.
    ///
    /// | alert | fires if | needs |
    /// |---|---|---|
    /// | `ScrapeFailing` (critical) | a target cannot be scraped for 5 minutes | |
    /// | `CardinalityOverflow` (warning) | a label exceeded its limit in the last 15 minutes | `metrics_label_overflow_total` |
    /// | `CollectorFailing` (warning) | a collector fails for 10 minutes | `scrape_collector_success` |
    ///
    /// An alert is omitted if the metric family that it needs is not defined.
    pub fn health(name: impl Into<String>, definitions: impl Into<Definitions>) -> Self {
        let definitions = definitions.into();
        let mut group = Self::new(name).rule(scrape_failing());
        if has(definitions.families(), OVERFLOW) {
            group = group.rule(cardinality_overflow());
        }
        if has(definitions.families(), COLLECTOR_SUCCESS) {
            group = group.rule(collector_failing());
        }
        group
    }
}

const COLLECTOR_SUCCESS: &str = "scrape_collector_success";

fn has(families: &[FamilyDescription], name: &str) -> bool {
    families.iter().any(|family| family.name == name)
}

fn scrape_failing() -> Rule {
    Rule::alert("ScrapeFailing", Query::up().equal_to(0.0))
        .for_duration("5m")
        .severity(Severity::Critical)
        .summary("{{ $labels.job }} at {{ $labels.instance }} cannot be scraped")
        .description("No page for 5 minutes: every other number of this instance is missing. Look whether it runs, and at the error on Prometheus' page of targets.")
}

fn cardinality_overflow() -> Rule {
    let overflow = Query::increase(OVERFLOW).over("15m");
    Rule::alert("CardinalityOverflow", overflow.by(["job", "family", "label"]).above(0.0))
        .severity(Severity::Warning)
        .summary("Label {{ $labels.label }} of {{ $labels.family }} has more values than it may")
        .description("Further values are counted as `overflow`, so nothing is lost but detail. Raise the cap if the values are yours; else find who invents them.")
}

fn collector_failing() -> Rule {
    let success = Query::value(COLLECTOR_SUCCESS).equal_to(0.0);
    Rule::alert("CollectorFailing", success)
        .for_duration("10m")
        .severity(Severity::Warning)
        .summary("Collector {{ $labels.collector }} of {{ $labels.instance }} fails")
        .description("Its gauges are missing from the page, the rest is whole. The service's log has the error.")
}

/// Returns the row of process metrics, which have the same names in all of Prometheus' client libraries.
fn process(families: &[FamilyDescription]) -> Row {
    const DRAWN: [&str; 6] = [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
        "process_open_fds",
        "process_max_fds",
        "process_start_time_seconds",
    ];
    let has = |name| has(families, name);
    let mut row = Row::new("Process");
    if has("process_cpu_seconds_total") {
        row = row.panel(
            Panel::time_series("Processors used", PanelUnit::Count)
                .description("How many processors are busy. At as many as there are, requests wait: add instances.")
                .query(Query::rate("process_cpu_seconds_total").by(["instance"])),
        );
    }
    if has("process_resident_memory_bytes") {
        let resident = Query::value("process_resident_memory_bytes").by(["instance"]);
        row = row.panel(
            Panel::time_series("Memory", PanelUnit::Bytes)
                .description("Memory that is resident. A rise that does not end is a leak: look at what grew with it.")
                .query(resident),
        );
    }
    if has("process_open_fds") {
        let mut files = Panel::time_series("Open files", PanelUnit::Count)
            .description("Open files and sockets, and how many there may be. Near the limit connections are refused: raise it, or find what is not closed.")
            .query(Query::value("process_open_fds").by(["instance"]));
        if has("process_max_fds") {
            let limit = Query::value("process_max_fds").max_by::<String>([]);
            files = files.query(limit.legend("limit"));
        }
        row = row.panel(files);
    }
    if has("process_start_time_seconds") {
        let age = Query::now() - Query::value("process_start_time_seconds").max_by(["instance"]);
        row = row.panel(
            Panel::time_series("Time since start", PanelUnit::Seconds)
                .description("A saw's teeth are restarts: look at why it ended.")
                .query(age),
        );
    }
    let others = families.iter().filter(|family| {
        family.name.starts_with("process_") && !DRAWN.contains(&family.name.as_str())
    });
    others
        .flat_map(|family| families::panels(family, "process_".len()))
        .fold(row, Row::panel)
}

fn collectors(families: &[FamilyDescription]) -> Row {
    let mut row = Row::new("Collectors");
    if has(families, COLLECTOR_SUCCESS) {
        row = row.panel(
            Panel::time_series("Collectors that work", PanelUnit::Bool)
                .description("1 while a collector works. At 0 its gauges are missing: the log has the error.")
                .query(Query::value(COLLECTOR_SUCCESS).min_by(["collector"])),
        );
    }
    let duration = "scrape_collector_duration_seconds";
    let duration = families.iter().filter(|family| family.name == duration);
    let prefix = "scrape_".len();
    duration
        .flat_map(|family| families::panels(family, prefix))
        .fold(row, Row::panel)
}

fn row_of_prefix(families: &[FamilyDescription], prefix: &str, title: &str) -> Row {
    let families = families
        .iter()
        .filter(|family| family.name.starts_with(prefix));
    let panels = families.flat_map(|family| families::panels(family, prefix.len()));
    panels.fold(Row::new(title), Row::panel)
}
