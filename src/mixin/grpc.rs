//! What is made of a gRPC layer's families.

use super::dashboard::Dashboard;
use super::definitions::Definitions;
use super::http::{QUANTILES, overflow, quantiles, with_error_thresholds};
use super::panel::{Panel, PanelUnit, Row};
use super::query::Query;
use super::rules::{Rule, RuleGroup};
use super::slo::Slo;
use crate::grpc::Families;
use crate::{Error, GrpcMetrics};

/// Codes that are the server's fault. Not `Unimplemented`: whoever asks for a method that does not
/// exist could burn the budget.
const FAILED: &str = "Unknown|DeadlineExceeded|Internal|Unavailable|DataLoss";

impl Dashboard {
    /// Calls of a gRPC layer: how many, by method and code, how many fail, how long they take, and their
    /// messages.
    ///
    /// # Errors
    ///
    /// When the layer's configuration cannot be, as [`GrpcMetrics::layer`].
    pub fn grpc(
        uid: impl Into<String>,
        title: impl Into<String>,
        grpc: &GrpcMetrics,
    ) -> Result<Self, Error> {
        let names = grpc.family_names();
        Ok(Self::new(uid, title, Definitions::new(grpc.families()?))
            .description("Calls of a gRPC layer: how many, how many fail, how long they take.")
            .tag("grpc")
            .row(overview(&names))
            .row(calls(&names))
            .row(durations(&names))
            .row(messages(&names)))
    }
}

impl RuleGroup {
    /// Recordings of a gRPC layer: calls a second, the ratio of errors, and p50, p95 and p99, by job and by
    /// method, over 5 minutes.
    ///
    /// # Errors
    ///
    /// As [`Dashboard::grpc`].
    pub fn grpc(name: impl Into<String>, grpc: &GrpcMetrics) -> Result<Self, Error> {
        grpc.families()?;
        let names = grpc.family_names();
        let calls = names.handled.trim_end_matches("_total");
        let mut group = Self::new(name);
        for by in [&["job"][..], &["job", "grpc_service", "grpc_method"]] {
            let by = || by.iter().copied();
            let level = by().collect::<Vec<_>>().join("_");
            group = group
                .rule(Rule::record(
                    format!("{level}:{calls}:rate5m"),
                    Query::rate(names.handled.as_str()).by(by()),
                ))
                .rule(Rule::record(
                    format!("{level}:{calls}_errors:ratio_rate5m"),
                    error_ratio(&names).by(by()),
                ));
            for (word, quantile) in QUANTILES {
                group = group.rule(Rule::record(
                    format!("{level}:{}:{word}_rate5m", names.handling),
                    Query::quantile(quantile, names.handling.as_str()).by(by()),
                ));
            }
        }
        Ok(group)
    }
}

impl Slo {
    /// That this share of a layer's calls does not fail by the server's fault: `Unknown`,
    /// `DeadlineExceeded`, `Internal`, `Unavailable` or `DataLoss`.
    ///
    /// # Errors
    ///
    /// When the layer's configuration cannot be.
    pub fn grpc_availability(
        name: impl Into<String>,
        objective: f64,
        grpc: &GrpcMetrics,
    ) -> Result<Self, Error> {
        grpc.families()?;
        let names = grpc.family_names();
        let handled = || Query::rate(names.handled.as_str());
        let slo = Self::availability(name, objective, failed(&names), handled());
        Ok(slo.description("Look at which `grpc_method` fails, and with which `grpc_code`."))
    }

    /// That this share of a layer's calls takes at most `within` seconds, one of its bucket bounds.
    ///
    /// # Errors
    ///
    /// When the layer's configuration cannot be.
    pub fn grpc_latency(
        name: impl Into<String>,
        objective: f64,
        within: f64,
        grpc: &GrpcMetrics,
    ) -> Result<Self, Error> {
        grpc.families()?;
        let handling = grpc.family_names().handling;
        let slo = Self::latency(name, objective, within, handling);
        Ok(slo.description("Look at which `grpc_method` is slow, and at what it waits for."))
    }
}

fn failed(names: &Families) -> Query {
    Query::rate(names.handled.as_str()).matching("grpc_code", FAILED)
}

fn error_ratio(names: &Families) -> Query {
    Query::ratio(failed(names), Query::rate(names.handled.as_str()))
}

fn overview(names: &Families) -> Row {
    Row::new("Overview")
        .panel(
            Panel::stat("Calls", PanelUnit::RequestsPerSecond)
                .size(6, 4)
                .description("Calls that ended, a second. A sudden drop: look whether clients still reach the service.")
                .query(Query::rate(names.handled.as_str()).total()),
        )
        .panel(
            with_error_thresholds(Panel::stat("Error ratio", PanelUnit::Ratio).size(6, 4))
                .description("Calls that failed by the server's fault. Above 1 %: look below at which method.")
                .query(error_ratio(names).total()),
        )
        .panel(
            Panel::stat("p95 duration", PanelUnit::Seconds)
                .size(6, 4)
                .description("One call in 20 took longer. It never exceeds the last finite bucket.")
                .query(Query::quantile(0.95, names.handling.as_str())),
        )
        .panel(
            Panel::stat("In progress", PanelUnit::Count)
                .size(6, 4)
                .description("Calls whose response has not ended, open streams among them. A steady rise: they are not closed.")
                .query(Query::value(names.in_progress.as_str()).total()),
        )
}

fn calls(names: &Families) -> Row {
    let by_method = |title: &str, query: Query| {
        Panel::time_series(title, PanelUnit::RequestsPerSecond)
            .stacked()
            .query(query.by(["grpc_service", "grpc_method"]))
    };
    Row::new("Calls")
        .panel(
            by_method("Calls by method", Query::rate(names.started.as_str()))
                .description("Calls that began, a second. `unknown` is what is no method: scanners."),
        )
        .panel(
            Panel::time_series("Calls by code", PanelUnit::RequestsPerSecond)
                .description("Calls that ended, a second. `Canceled`: clients left; `Unknown` and `Internal`: look at the log.")
                .stacked()
                .query(Query::rate(names.handled.as_str()).by(["grpc_code"])),
        )
        .panel(
            with_error_thresholds(Panel::time_series("Error ratio by method", PanelUnit::Ratio))
                .description("Calls that failed by the server's fault, of all of a method. Look at the log of the one that stands out.")
                .query(error_ratio(names).by(["grpc_service", "grpc_method"])),
        )
        .panel(overflow())
}

fn durations(names: &Families) -> Row {
    Row::new("Durations")
        .panel(quantiles(
            "Duration",
            "From a call's begin to the end of its response. Streams take as long as they are open: look at them by method.",
            &names.handling,
        ))
        .panel(
            Panel::time_series("p95 duration by method", PanelUnit::Seconds)
                .description("One call in 20 took longer. Look at what the slowest method waits for.")
                .query(
                    Query::quantile(0.95, names.handling.as_str())
                        .by(["grpc_service", "grpc_method"]),
                ),
        )
}

fn messages(names: &Families) -> Row {
    let messages = |title: &str, family: &str, description: &str| {
        Panel::time_series(title, PanelUnit::EventsPerSecond)
            .description(description)
            .query(Query::rate(family).by(["grpc_service", "grpc_method"]))
    };
    Row::new("Messages and calls in progress")
        .panel(messages(
            "Messages received",
            &names.received,
            "A second. Far above the calls: streams; a stream that stops shows here.",
        ).size(8, 8))
        .panel(messages(
            "Messages sent",
            &names.sent,
            "A second. None while calls are in progress: nothing is answered.",
        ).size(8, 8))
        .panel(
            Panel::time_series("In progress by method", PanelUnit::Count)
                .size(8, 8)
                .description("Calls whose response has not ended. One that only rises waits for something that hangs, or is a stream that is never closed.")
                .stacked()
                .query(Query::value(names.in_progress.as_str()).by(["grpc_service", "grpc_method"])),
        )
}
