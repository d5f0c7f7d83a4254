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
    /// | Process | CPU cores used, memory, open files, time since start; every other defined `process_…` family |
    /// | Runtime | every defined `tokio_…` family |
    /// | Collectors | success and duration of each collector |
    ///
    /// Only families in `definitions` have panels, because not every platform has all of them. Families with other
    /// names are ignored. If none of these families is defined, [`to_json`](Self::to_json) returns an error.
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
            .description("Process and tokio runtime of each instance.")
            .tag("process");
        rows.fold(dashboard, Self::row)
    }
}

impl RuleGroup {
    /// Creates alerts for problems of the metrics themselves: failed scrapes, failed collectors, labels beyond their
    /// limit.
    ///
    /// | alert | fires if | needs |
    /// |---|---|---|
    /// | `ScrapeFailing` (critical) | a target cannot be scraped for 5 minutes | series with `instance` |
    /// | `TargetsMissing` (critical) | the job has no target for 5 minutes | series with `instance`, and [`Rules::job`](crate::Rules::job) |
    /// | `CardinalityOverflow` (warning) | a label exceeded its limit in the last 15 minutes | `metrics_label_overflow_total` |
    /// | `CollectorFailing` (warning) | a collector fails for 10 minutes | `scrape_collector_success` |
    ///
    /// An alert is omitted if what it needs is not defined. For a file of rules with several jobs, add
    /// [`Rule::targets_missing`] for each job. Series of pushed jobs have no `instance`; see
    /// [`Definitions::without_instance`].
    pub fn health(name: impl Into<String>, definitions: impl Into<Definitions>) -> Self {
        let definitions = definitions.into();
        let mut group = Self::new(name);
        if definitions.has_instance() {
            let missing = targets_missing(Query::up().absent()).needs_job();
            group = group.rule(scrape_failing()).rule(missing);
        }
        if has(definitions.families(), OVERFLOW) {
            group = group.rule(cardinality_overflow());
        }
        if has(definitions.families(), COLLECTOR_SUCCESS) {
            group = group.rule(collector_failing(definitions.has_instance()));
        }
        group
    }
}

impl Rule {
    /// Creates the alert `TargetsMissing` (critical) for a job: it fires if Prometheus has no target of the job for 5
    /// minutes, as after all targets have vanished from service discovery.
    ///
    /// [`RuleGroup::health`] has this alert for the job of the [`Rules`](crate::Rules).
    pub fn targets_missing(job: impl Into<String>) -> Self {
        let job = job.into();
        // The label distinguishes the alerts of several jobs in one file.
        targets_missing(Query::up().with("job", job.as_str()).absent()).label("job", job)
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
        .summary("{{ $labels.job }}: Prometheus cannot scrape {{ $labels.instance }}")
        .description("All scrapes have failed for 5 minutes, so the metrics of this instance are missing and its other alerts cannot fire. Check whether the process runs and whether its metrics page answers. The page Status > Targets of Prometheus shows the error.")
}

/// `query` has a result if the job has no target. Its result has the label `job`.
fn targets_missing(query: Query) -> Rule {
    Rule::alert("TargetsMissing", query)
        .for_duration("5m")
        .severity(Severity::Critical)
        .summary("{{ $labels.job }}: Prometheus has no target of this job")
        .description("There has been no target for 5 minutes, so the job has no metrics and its other alerts cannot fire. Check whether the service is deployed. If it runs, check service discovery and the scrape configuration: the page Status > Service Discovery of Prometheus shows dropped targets.")
}

fn cardinality_overflow() -> Rule {
    let overflow = Query::increase(OVERFLOW).over("15m");
    Rule::alert("CardinalityOverflow", overflow.by(["job", "family", "label"]).above(0.0))
        .severity(Severity::Warning)
        .summary("{{ $labels.job }}: label {{ $labels.label }} of {{ $labels.family }} exceeds its limit of values")
        .description("In the last 15 minutes, about {{ $value | humanize }} observations had values beyond the limit. They were recorded with the value `overflow`, except values set on gauges, which were not recorded. If these values are expected, raise the limit of the label. Otherwise, find the client or the code that creates them.")
}

fn collector_failing(has_instance: bool) -> Rule {
    let success = Query::value(COLLECTOR_SUCCESS).equal_to(0.0);
    let of_instance = match has_instance {
        true => " of {{ $labels.instance }}",
        false => "",
    };
    Rule::alert("CollectorFailing", success)
        .for_duration("10m")
        .severity(Severity::Warning)
        .summary(format!("{{{{ $labels.job }}}}: collector {{{{ $labels.collector }}}}{of_instance} fails"))
        .description("It has failed, panicked or timed out for 10 minutes. Its metrics are missing; those of the layers and of other collectors are complete. The log of the service has the error.")
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
            Panel::time_series("CPU cores used", PanelUnit::Count)
                .description("CPU cores that the process uses. If it uses all of them, requests wait: add instances.")
                .query(Query::rate("process_cpu_seconds_total")),
        );
    }
    if has("process_resident_memory_bytes") {
        let resident = Query::value("process_resident_memory_bytes");
        row = row.panel(
            Panel::time_series("Memory", PanelUnit::Bytes)
                .description("Resident memory. A rise without end is a leak: see which other metric rises at the same time.")
                .query(resident),
        );
    }
    if has("process_open_fds") {
        let mut files = Panel::time_series("Open files", PanelUnit::Count)
            .description("Open files and sockets, and their limit. Near the limit, connections are refused: raise it, or find what is not closed.")
            .query(Query::value("process_open_fds"));
        if has("process_max_fds") {
            let limit = Query::value("process_max_fds").max_by::<String>([]);
            files = files.query(limit.legend("limit"));
        }
        row = row.panel(files);
    }
    if has("process_start_time_seconds") {
        let age = Query::now() - Query::value("process_start_time_seconds");
        row = row.panel(
            Panel::time_series("Time since start", PanelUnit::Seconds)
                .description("The value falls to 0 when the process restarts. After an unexpected restart, see the end of the previous log.")
                .query(age),
        );
    }
    let others = families.iter().filter(|family| {
        family.name.starts_with("process_") && !DRAWN.contains(&family.name.as_str())
    });
    others
        .flat_map(|family| families::panels(family, "process_"))
        .fold(row, Row::panel)
}

fn collectors(families: &[FamilyDescription]) -> Row {
    let mut row = Row::new("Collectors");
    if has(families, COLLECTOR_SUCCESS) {
        row = row.panel(
            Panel::time_series("Collector success", PanelUnit::Bool)
                .description("1 if the collector succeeds. At 0, its metrics are missing: the log has the error.")
                .query(Query::value(COLLECTOR_SUCCESS).min_by(["collector"])),
        );
    }
    let duration = "scrape_collector_duration_seconds";
    let duration = families.iter().filter(|family| family.name == duration);
    let prefix = "scrape_";
    duration
        .flat_map(|family| families::panels(family, prefix))
        .fold(row, Row::panel)
}

fn row_of_prefix(families: &[FamilyDescription], prefix: &str, title: &str) -> Row {
    let families = families
        .iter()
        .filter(|family| family.name.starts_with(prefix));
    let panels = families.flat_map(|family| families::panels(family, prefix));
    panels.fold(Row::new(title), Row::panel)
}
