//! Dashboard, recording rules and objectives of a gRPC layer.

use tower_prometheus::{
    GrpcMetrics,
    grpc::GrpcMetric,
    model::{FamilyDescription, LabelDescription, LabelRole, LabelValues},
};

use super::common::{QUANTILES, duration_quantiles, overflow, with_error_thresholds};
use crate::dashboard::Dashboard;
use crate::definitions::Definitions;
use crate::error::Error;
use crate::panel::{Panel, PanelUnit, Row};
use crate::query::Query;
use crate::rules::{Rule, RuleGroup};
use crate::slo::Slo;

/// The numbers of the status codes that count as failures of the server: `Unknown`, `DeadlineExceeded`, `Internal`,
/// `Unavailable` and `DataLoss`. `Unimplemented` does not count, because otherwise a client could spend the error
/// budget by calling methods that do not exist.
const FAILED: [usize; 5] = [2, 4, 13, 14, 15];

/// A regular expression for the types of streaming calls.
const STREAMS: &str = "client_stream|server_stream|bidi_stream";

impl Dashboard {
    /// Creates the dashboard of a gRPC layer.
    ///
    /// It shows calls by method and by status code, error ratios, durations, messages, calls in progress, and labels
    /// that exceed their limit. Metrics that the layer does not record have no panels.
    ///
    /// `grpc` is the configuration from which the service creates its layer, so that names and labels are the same.
    ///
    /// # Errors
    ///
    /// Returns an error if the configuration of the layer is not valid, or if neither the number of calls nor their
    /// durations have the status code.
    pub fn grpc(
        uid: impl Into<String>,
        title: impl Into<String>,
        grpc: &GrpcMetrics,
    ) -> Result<Self, Error> {
        let layer = GrpcFamilies::new(grpc)?;
        Ok(Self::new(uid, title, Definitions::new(grpc.families()?))
            .description("Calls of a gRPC layer: rate, errors and durations.")
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
        let calls = layer.total.name.trim_end_matches("_total");
        let mut group = Self::new(name);
        let by_method: Vec<_> = ["job"].into_iter().chain(layer.method_labels()).collect();
        for by in [&["job"][..], &by_method] {
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
            let Some(handling) = &layer.handling else {
                continue;
            };
            for (word, quantile) in QUANTILES {
                group = group.rule(Rule::record(
                    format!("{level}:{handling}:{word}_rate5m"),
                    Query::quantile(quantile, handling.as_str()).by(by()),
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
        let slo =
            Self::availability(name, objective, layer.failed(), layer.handled_rate()).of("calls");
        Ok(slo.description("The panels \"Error ratio by method\" and \"Calls by code\" of the gRPC dashboard show where calls fail; then see the log of that method."))
    }

    /// Creates an objective for the fraction of a layer's calls that take at most `within` seconds: at least
    /// `objective`, such as 0.99.
    ///
    /// Streaming calls do not count, because they last as long as the stream is open. The type of a method is known if
    /// the method is preregistered and the durations have the label with the type. Other calls count, whatever their
    /// type.
    ///
    /// `name` becomes the label `slo`. `within` can be any number if the definitions of the rules give the durations
    /// [native buckets](crate#native-histograms). Otherwise, and with
    /// [`mixed_histograms`](crate::Definitions::mixed_histograms), it must be a bucket bound of the layer's durations,
    /// or [`Rules::to_yaml`](crate::Rules::to_yaml) returns an error.
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
        let handling = layer.handling.ok_or_else(|| {
            Error::new("the layer does not record durations: record `GrpcMetric::Handling`")
        })?;
        let mut slo = Self::latency(name, objective, within, handling).of("calls");
        if let Some(kind) = &layer.kind {
            slo = slo.filter(|query| query.not_matching(kind, STREAMS));
        }
        Ok(slo.description("The panel \"p95 duration by method\" of the gRPC dashboard shows which method is slow; then find out what it waits for."))
    }
}

/// The metric families that a layer records, and the labels of its calls.
struct GrpcFamilies {
    /// The counter of calls, or, without a counter, the histogram of durations: its `_count` counts the same calls.
    total: FamilyDescription,
    started: Option<String>,
    handling: Option<String>,
    received: Option<String>,
    sent: Option<String>,
    in_progress: Option<String>,
    /// The label of the durations with the type of the method.
    kind: Option<String>,
    /// `None` if the label with the method has the service, too.
    service: Option<String>,
    method: String,
    code: LabelDescription,
}

impl GrpcFamilies {
    fn new(grpc: &GrpcMetrics) -> Result<Self, Error> {
        let name = |metric| Ok::<_, Error>(grpc.family(metric)?.map(|family| family.name));
        let handling = grpc.family(GrpcMetric::Handling)?;
        let total = grpc
            .family(GrpcMetric::Handled)?
            .or_else(|| handling.clone());
        let total = total.ok_or_else(|| {
            Error::new(
                "the layer counts no calls: record `GrpcMetric::Handled` or `GrpcMetric::Handling`",
            )
        })?;
        let label = |role| {
            let label = total.label_with_role(role).cloned();
            label.ok_or_else(|| Error::new(format!("{:?} has no label {role:?}", total.name)))
        };
        let kind = handling.as_ref();
        let kind = kind.and_then(|family| family.label_with_role(LabelRole::GrpcType));
        let kind = kind.map(|label| label.name.to_string());
        let service = total.label_with_role(LabelRole::GrpcService);
        Ok(Self {
            started: name(GrpcMetric::Started)?,
            handling: handling.map(|family| family.name),
            received: name(GrpcMetric::MessagesReceived)?,
            sent: name(GrpcMetric::MessagesSent)?,
            in_progress: name(GrpcMetric::InProgress)?,
            kind,
            service: service.map(|label| label.name.to_string()),
            method: label(LabelRole::GrpcMethod)?.name.into_owned(),
            code: label(LabelRole::GrpcCode)?,
            total,
        })
    }

    /// Returns the names of the labels that identify a method.
    fn method_labels(&self) -> impl Iterator<Item = &str> {
        let labels = self.service.iter().chain([&self.method]);
        labels.map(String::as_str)
    }

    fn handled_rate(&self) -> Query {
        Query::rate(self.total.name.as_str())
    }

    fn failed(&self) -> Query {
        let codes = match &self.code.values {
            LabelValues::Closed(codes) => codes.as_slice(),
            _ => &[],
        };
        let failed = FAILED.iter().filter_map(|number| codes.get(*number));
        let failed: Vec<_> = failed.map(AsRef::as_ref).collect();
        self.handled_rate()
            .matching(self.code.name.as_ref(), failed.join("|"))
    }

    fn error_ratio(&self) -> Query {
        Query::ratio(self.failed(), self.handled_rate())
    }
}

fn overview(layer: &GrpcFamilies) -> Row {
    let mut row = Row::new("Overview")
        .panel(
            Panel::stat("Calls", PanelUnit::RequestsPerSecond)
                .size(6, 4)
                .description("Calls that ended, per second. After a sudden drop, check whether clients reach the service.")
                .query(layer.handled_rate().sum()),
        )
        .panel(
            with_error_thresholds(Panel::stat("Error ratio", PanelUnit::Ratio).size(6, 4))
                .description("Share of calls that failed because of the server. Above 1 %, see the row Calls for the method.")
                .query(layer.error_ratio().sum()),
        );
    if let Some(handling) = &layer.handling {
        row = row.panel(
            Panel::stat("p95 duration", PanelUnit::Seconds)
                .size(6, 4)
                .description("5 % of the calls took longer.")
                .bucket_limit()
                .query(Query::quantile(0.95, handling.as_str())),
        );
    }
    if let Some(in_progress) = &layer.in_progress {
        row = row.panel(
            Panel::stat("In progress", PanelUnit::Count)
                .size(6, 4)
                .description("Calls whose response has not ended, including open streams. A steady rise means that they are not closed.")
                .query(Query::value(in_progress.as_str()).sum()),
        );
    }
    row
}

fn calls(layer: &GrpcFamilies) -> Row {
    let by_method = |title: &str, query: Query| {
        Panel::time_series(title, PanelUnit::RequestsPerSecond)
            .stacked()
            .query(query.by(layer.method_labels()))
    };
    let mut row = Row::new("Calls");
    if let Some(started) = &layer.started {
        row = row.panel(
            by_method("Calls by method", Query::rate(started.as_str()))
                .description("Calls started per second. `unknown`: paths that are not a method, and methods that have not yet sent a message or ended with OK."),
        );
    }
    row.panel(
        Panel::time_series("Calls by code", PanelUnit::RequestsPerSecond)
            .description("Calls that ended, per second. `Canceled`: the client disconnected. `Unknown` and `Internal`: see the log.")
            .stacked()
            .query(layer.handled_rate().by([layer.code.name.as_ref()])),
    )
    .panel(
        with_error_thresholds(Panel::time_series("Error ratio by method", PanelUnit::Ratio))
            .description("Share of each method's calls that failed because of the server. See the log of the method with the highest ratio.")
            .query(layer.error_ratio().by(layer.method_labels())),
    )
    .panel(overflow())
}

fn durations(layer: &GrpcFamilies) -> Row {
    let row = Row::new("Durations");
    let Some(handling) = &layer.handling else {
        return row;
    };
    row.panel(duration_quantiles(
        "Duration",
        "Time from the start of a call to the end of its response. Streams last as long as they are open: see the durations by method.",
        handling,
    ))
    .panel(
        Panel::time_series("p95 duration by method", PanelUnit::Seconds)
            .description("5 % of the method's calls took longer. Find out what the slowest method waits for.")
            .query(Query::quantile(0.95, handling.as_str()).by(layer.method_labels())),
    )
}

fn messages(layer: &GrpcFamilies) -> Row {
    let messages = |title: &str, family: &str, description: &str| {
        Panel::time_series(title, PanelUnit::OpsPerSecond)
            .size(8, 8)
            .description(description)
            .query(Query::rate(family).by(layer.method_labels()))
    };
    let mut row = Row::new("Messages and calls in progress");
    if let Some(received) = &layer.received {
        row = row.panel(messages(
            "Messages received",
            received,
            "Messages received per second. Streams receive more messages than there are calls. A drop to 0 means that a stream stopped.",
        ));
    }
    if let Some(sent) = &layer.sent {
        row = row.panel(messages(
            "Messages sent",
            sent,
            "Messages sent per second. If it is 0 while calls are in progress, they are not answered.",
        ));
    }
    if let Some(in_progress) = &layer.in_progress {
        row = row.panel(
            Panel::time_series("In progress by method", PanelUnit::Count)
                .size(8, 8)
                .description("Calls whose response has not ended. If one line only rises, its calls wait for something that does not answer, or are streams that are never closed.")
                .stacked()
                .query(Query::value(in_progress.as_str()).by(layer.method_labels())),
        );
    }
    row
}
