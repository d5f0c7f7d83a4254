//! Dashboard, recording rules and objectives of a gRPC layer.

use tower_prometheus::{
    GrpcMetrics,
    grpc::GrpcMetric,
    model::{FamilyDescription, LabelRole},
};

use super::common::{QUANTILES, duration_quantiles, overflow, with_error_thresholds};
use crate::dashboard::Dashboard;
use crate::definitions::Definitions;
use crate::error::Error;
use crate::panel::{Panel, PanelUnit, Row};
use crate::query::Query;
use crate::rules::{Rule, RuleGroup};
use crate::slo::Slo;

/// Status codes that count as failures of the server. `Unimplemented` does not count, because otherwise a client could spend
/// the error budget by calling methods that do not exist.
const FAILED: &str = "Unknown|DeadlineExceeded|Internal|Unavailable|DataLoss";

impl Dashboard {
    /// Creates the dashboard of a gRPC layer.
    ///
    /// It shows calls by method and by status code, error ratios, durations, messages, calls in progress, and labels that
    /// exceed their limit. `grpc` is the configuration from which the service creates its layer, so that names and labels are
    /// the same.
    ///
    /// # Errors
    ///
    /// Returns an error if the configuration of the layer is not valid.
    pub fn grpc(
        uid: impl Into<String>,
        title: impl Into<String>,
        grpc: &GrpcMetrics,
    ) -> Result<Self, Error> {
        let layer = GrpcFamilies::new(grpc)?;
        Ok(Self::new(uid, title, Definitions::new(grpc.families()?))
            .description("Calls of a gRPC layer: how many, how many fail, how long they take.")
            .tag("grpc")
            .row(overview(&layer))
            .row(calls(&layer))
            .row(durations(&layer))
            .row(messages(&layer)))
    }
}

impl RuleGroup {
    /// Creates recording rules of a gRPC layer, over 5 minutes: for each job, and for each job, service and method.
    ///
    /// | recorded series for each job, with default names | value |
    /// |---|---|
    /// | `job:grpc_server_handled:rate5m` | calls per second |
    /// | `job:grpc_server_handled_errors:ratio_rate5m` | error ratio |
    /// | `job:grpc_server_handling_seconds:p50_rate5m`, `…:p95_rate5m`, `…:p99_rate5m` | quantiles of the duration |
    ///
    /// The series for each method have the same names with `job_grpc_service_grpc_method:` at the start.
    ///
    /// # Errors
    ///
    /// As [`Dashboard::grpc`].
    pub fn grpc(name: impl Into<String>, grpc: &GrpcMetrics) -> Result<Self, Error> {
        let layer = GrpcFamilies::new(grpc)?;
        let calls = layer.handled.trim_end_matches("_total");
        let mut group = Self::new(name);
        let [service, method] = layer.method_labels();
        for by in [&["job"][..], &["job", service, method]] {
            let by = || by.iter().copied();
            let level = by().collect::<Vec<_>>().join("_");
            group = group
                .rule(Rule::record(
                    format!("{level}:{calls}:rate5m"),
                    layer.handled_rate().by(by()),
                ))
                .rule(Rule::record(
                    format!("{level}:{calls}_errors:ratio_rate5m"),
                    layer.error_ratio().by(by()),
                ));
            for (word, quantile) in QUANTILES {
                group = group.rule(Rule::record(
                    format!("{level}:{}:{word}_rate5m", layer.handling),
                    Query::quantile(quantile, layer.handling.as_str()).by(by()),
                ));
            }
        }
        Ok(group)
    }
}

impl Slo {
    /// Creates an objective for the fraction of a layer's calls that do not fail because of the server: at least
    /// `objective`, such as 0.999.
    ///
    /// Failed calls have the status code `Unknown`, `DeadlineExceeded`, `Internal`, `Unavailable` or `DataLoss`. `name`
    /// becomes the label `slo`.
    ///
    /// # Errors
    ///
    /// Returns an error if the configuration of the layer is not valid.
    pub fn grpc_availability(
        name: impl Into<String>,
        objective: f64,
        grpc: &GrpcMetrics,
    ) -> Result<Self, Error> {
        let layer = GrpcFamilies::new(grpc)?;
        let slo = Self::availability(name, objective, layer.failed(), layer.handled_rate());
        let [_, method] = layer.method_labels();
        Ok(slo.description(format!(
            "Look at which `{method}` fails, and with which `{}`.",
            layer.code
        )))
    }

    /// Creates an objective for the fraction of a layer's calls that take at most `within` seconds: at least `objective`,
    /// such as 0.99.
    ///
    /// `name` becomes the label `slo`. `within` must be a bucket bound of the layer's durations; otherwise,
    /// [`Rules::to_yaml`](crate::Rules::to_yaml) returns an error.
    ///
    /// # Errors
    ///
    /// Returns an error if the configuration of the layer is not valid.
    pub fn grpc_latency(
        name: impl Into<String>,
        objective: f64,
        within: f64,
        grpc: &GrpcMetrics,
    ) -> Result<Self, Error> {
        let layer = GrpcFamilies::new(grpc)?;
        let slo = Self::latency(name, objective, within, layer.handling.as_str());
        let [_, method] = layer.method_labels();
        Ok(slo.description(format!(
            "Look at which `{method}` is slow, and at what it waits for."
        )))
    }
}

/// The names of a layer's metric families and labels.
struct GrpcFamilies {
    started: String,
    handled: String,
    handling: String,
    received: String,
    sent: String,
    in_progress: String,
    service: String,
    method: String,
    code: String,
}

impl GrpcFamilies {
    fn new(grpc: &GrpcMetrics) -> Result<Self, Error> {
        let name = |metric| Ok::<_, Error>(grpc.family(metric)?.name);
        let handled = grpc.family(GrpcMetric::Handled)?;
        Ok(Self {
            started: name(GrpcMetric::Started)?,
            handling: name(GrpcMetric::Handling)?,
            received: name(GrpcMetric::MessagesReceived)?,
            sent: name(GrpcMetric::MessagesSent)?,
            in_progress: name(GrpcMetric::InProgress)?,
            service: label(&handled, LabelRole::GrpcService)?,
            method: label(&handled, LabelRole::GrpcMethod)?,
            code: label(&handled, LabelRole::GrpcCode)?,
            handled: handled.name,
        })
    }

    /// Returns the names of the two labels that identify a method: service and method.
    fn method_labels(&self) -> [&str; 2] {
        [&self.service, &self.method]
    }

    fn handled_rate(&self) -> Query {
        Query::rate(self.handled.as_str())
    }

    fn failed(&self) -> Query {
        self.handled_rate().matching(self.code.as_str(), FAILED)
    }

    fn error_ratio(&self) -> Query {
        Query::ratio(self.failed(), self.handled_rate())
    }
}

fn label(family: &FamilyDescription, role: LabelRole) -> Result<String, Error> {
    let label = family.label_with_role(role);
    let label = label.ok_or_else(|| Error::new(format!("{:?} has no label {role:?}", family.name)));
    Ok(label?.name.to_string())
}

fn overview(layer: &GrpcFamilies) -> Row {
    Row::new("Overview")
        .panel(
            Panel::stat("Calls", PanelUnit::RequestsPerSecond)
                .size(6, 4)
                .description("Calls that ended, a second. A sudden drop: look whether clients still reach the service.")
                .query(layer.handled_rate().sum()),
        )
        .panel(
            with_error_thresholds(Panel::stat("Error ratio", PanelUnit::Ratio).size(6, 4))
                .description("Calls that failed by the server's fault. Above 1 %: look below at which method.")
                .query(layer.error_ratio().sum()),
        )
        .panel(
            Panel::stat("p95 duration", PanelUnit::Seconds)
                .size(6, 4)
                .description("One call in 20 took longer. It never exceeds the last finite bucket.")
                .query(Query::quantile(0.95, layer.handling.as_str())),
        )
        .panel(
            Panel::stat("In progress", PanelUnit::Count)
                .size(6, 4)
                .description("Calls whose response has not ended, open streams among them. A steady rise: they are not closed.")
                .query(Query::value(layer.in_progress.as_str()).sum()),
        )
}

fn calls(layer: &GrpcFamilies) -> Row {
    let by_method = |title: &str, query: Query| {
        Panel::time_series(title, PanelUnit::RequestsPerSecond)
            .stacked()
            .query(query.by(layer.method_labels()))
    };
    Row::new("Calls")
        .panel(
            by_method("Calls by method", Query::rate(layer.started.as_str()))
                .description("Calls that began, a second. `unknown`: paths that are no method, and methods not proven by a message or OK so far."),
        )
        .panel(
            Panel::time_series("Calls by code", PanelUnit::RequestsPerSecond)
                .description("Calls that ended, a second. `Canceled`: clients left; `Unknown` and `Internal`: look at the log.")
                .stacked()
                .query(layer.handled_rate().by([layer.code.as_str()])),
        )
        .panel(
            with_error_thresholds(Panel::time_series("Error ratio by method", PanelUnit::Ratio))
                .description("Calls that failed by the server's fault, of all of a method. Look at the log of the one that stands out.")
                .query(layer.error_ratio().by(layer.method_labels())),
        )
        .panel(overflow())
}

fn durations(layer: &GrpcFamilies) -> Row {
    Row::new("Durations")
        .panel(duration_quantiles(
            "Duration",
            "From a call's begin to the end of its response. Streams take as long as they are open: look at them by method.",
            &layer.handling,
        ))
        .panel(
            Panel::time_series("p95 duration by method", PanelUnit::Seconds)
                .description("One call in 20 took longer. Look at what the slowest method waits for.")
                .query(
                    Query::quantile(0.95, layer.handling.as_str())
                        .by(layer.method_labels()),
                ),
        )
}

fn messages(layer: &GrpcFamilies) -> Row {
    let messages = |title: &str, family: &str, description: &str| {
        Panel::time_series(title, PanelUnit::OpsPerSecond)
            .description(description)
            .query(Query::rate(family).by(layer.method_labels()))
    };
    Row::new("Messages and calls in progress")
        .panel(messages(
            "Messages received",
            &layer.received,
            "A second. Far above the calls: streams; a stream that stops shows here.",
        ).size(8, 8))
        .panel(messages(
            "Messages sent",
            &layer.sent,
            "A second. None while calls are in progress: nothing is answered.",
        ).size(8, 8))
        .panel(
            Panel::time_series("In progress by method", PanelUnit::Count)
                .size(8, 8)
                .description("Calls whose response has not ended. One that only rises waits for something that hangs, or is a stream that is never closed.")
                .stacked()
                .query(Query::value(layer.in_progress.as_str()).by(layer.method_labels())),
        )
}
