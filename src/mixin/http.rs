//! What an HTTP layer's own settings say: which family counts, which label is the status, whatever
//! they are called.

use super::dashboard::Dashboard;
use super::definitions::Definitions;
use super::panel::{Panel, PanelUnit, Row, Severity};
use super::query::Query;
use super::rules::{Rule, RuleGroup};
use super::slo::Slo;
use crate::labels::Family;
use crate::middleware::{Part, Settings};
use crate::{Error, HttpMetrics};

impl Dashboard {
    /// Rate, errors and durations of an HTTP layer, what is in progress, bodies that were cut off, sizes, and
    /// labels that overflow; by endpoint, method and status. Families that the layer does not
    /// measure have no panels.
    ///
    /// # Errors
    ///
    /// When the layer's configuration cannot be, as [`HttpMetrics::layer`]; or when it measures neither
    /// requests nor their duration.
    pub fn http(
        uid: impl Into<String>,
        title: impl Into<String>,
        http: impl AsRef<HttpMetrics>,
    ) -> Result<Self, Error> {
        let http = http.as_ref();
        let roles = Roles::of(http.settings()?)?;
        let dashboard = Self::new(uid, title, Definitions::new(http.families()?))
            .description("Requests of an HTTP layer: how many, how many fail, how long they take.")
            .tag("http");
        let rows = [
            roles.overview(),
            roles.requests(),
            roles.durations(),
            roles.in_progress(),
            roles.bodies(),
            labels(roles.unmatched_and_overflow()),
        ];
        let rows = rows.into_iter().filter(|row| !row.panels.is_empty());
        Ok(rows.fold(dashboard, Self::row))
    }
}

impl RuleGroup {
    /// Recordings of an HTTP layer: requests a second, the ratio of errors, and p50, p95 and p99, by job and
    /// endpoint, over 5 minutes. `job:http_requests:rate5m` and its companions are what dashboards of
    /// many instances ask, rather than every bucket of every instance.
    ///
    /// # Errors
    ///
    /// As [`Dashboard::http`].
    pub fn http(name: impl Into<String>, http: impl AsRef<HttpMetrics>) -> Result<Self, Error> {
        let settings = http.as_ref().settings()?;
        let roles = Roles::of(settings)?;
        let endpoint = roles.endpoint();
        let levels = [vec!["job"], vec!["job", endpoint]];
        let mut group = Self::new(name);
        for by in &levels {
            let level = by.join("_");
            let requests = roles.total_name();
            group = group.rule(Rule::record(
                format!("{level}:{requests}:rate5m"),
                roles.requests_rate().by(by.clone()),
            ));
            if let Some(errors) = roles.error_ratio() {
                group = group.rule(Rule::record(
                    format!("{level}:{requests}_errors:ratio_rate5m"),
                    errors.by(by.clone()),
                ));
            }
            let Some(duration) = roles.name(Family::Duration) else {
                continue;
            };
            for (word, quantile) in QUANTILES {
                group = group.rule(Rule::record(
                    format!("{level}:{duration}:{word}_rate5m"),
                    Query::quantile(quantile, duration.as_str()).by(by.clone()),
                ));
            }
        }
        Ok(group)
    }
}

impl Slo {
    /// That this share of a layer's requests does not fail. Failed are 5xx, errors of the service and
    /// panics; not what a client gave up, nor 4xx.
    ///
    /// # Errors
    ///
    /// When the layer's configuration cannot be, or it has no family with the status.
    pub fn http_availability(
        name: impl Into<String>,
        objective: f64,
        http: impl AsRef<HttpMetrics>,
    ) -> Result<Self, Error> {
        let roles = Roles::of(http.as_ref().settings()?)?;
        let failed = roles.failed().ok_or_else(|| {
            Error::new("no family of the layer has the status: measure `Family::Requests`")
        })?;
        let slo = Self::availability(name, objective, failed, roles.requests_rate());
        Ok(slo.description(format!(
            "Look at which `{}` fails, and since when.",
            roles.endpoint()
        )))
    }

    /// That this share of a layer's requests takes at most `within` seconds, one of its bucket bounds.
    ///
    /// # Errors
    ///
    /// When the layer's configuration cannot be, or it does not measure durations.
    pub fn http_latency(
        name: impl Into<String>,
        objective: f64,
        within: f64,
        http: impl AsRef<HttpMetrics>,
    ) -> Result<Self, Error> {
        let roles = Roles::of(http.as_ref().settings()?)?;
        let duration = roles.name(Family::Duration).ok_or_else(|| {
            Error::new("the layer does not measure durations: measure `Family::Duration`")
        })?;
        Ok(Self::latency(name, objective, within, duration))
    }
}

pub(super) const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)];

/// Which family and which label plays which part in one layer.
struct Roles<'a> {
    settings: &'a Settings,
    /// The counter of requests, or the durations, whose histogram counts as well.
    total: Family,
}

impl<'a> Roles<'a> {
    fn of(settings: &'a Settings) -> Result<Self, Error> {
        let counts = [Family::Requests, Family::Duration];
        let mut counts = counts.into_iter().filter(|f| settings.is_measured(*f));
        match counts.next() {
            Some(total) => Ok(Self { settings, total }),
            None => Err(Error::new(
                "the layer counts no requests: measure `Family::Requests` or `Family::Duration`",
            )),
        }
    }

    fn name(&self, family: Family) -> Option<String> {
        self.settings.family_name(family)
    }

    /// The label of a part, if the family has it.
    fn label(&self, family: Family, is: fn(&Part) -> bool) -> Option<&'a str> {
        let part = self.settings.parts(family).into_iter().find(is)?;
        Some(self.settings.label_name(part))
    }

    fn endpoint(&self) -> &'a str {
        self.settings.label_name(Part::Endpoint)
    }

    fn method(&self) -> &'a str {
        self.settings.label_name(Part::Method)
    }

    fn status(&self) -> Option<&'a str> {
        self.label(self.total, |part| matches!(part, Part::Status))
    }

    fn requests_rate(&self) -> Query {
        Query::rate(self.name(self.total).unwrap_or_default())
    }

    /// What a recording of requests is called: without what says that it is a counter.
    fn total_name(&self) -> String {
        let name = self.name(self.total).unwrap_or_default();
        name.strip_suffix("_total").unwrap_or(&name).to_owned()
    }

    /// Requests that failed, if a label says which did.
    fn failed(&self) -> Option<Query> {
        let error_type = self.label(self.total, |part| matches!(part, Part::ErrorType));
        let requests = self.requests_rate();
        if let Some(error_type) = error_type {
            return Some(requests.not_matching(error_type, "|cancelled"));
        }
        let failed = match self.settings.status_classes {
            true => "5xx|error|panicked",
            false => "5..|error|panicked",
        };
        Some(requests.matching(self.status()?, failed))
    }

    fn error_ratio(&self) -> Option<Query> {
        Some(Query::ratio(self.failed()?, self.requests_rate()))
    }

    fn overview(&self) -> Row {
        let mut row = Row::new("Overview").panel(
            Panel::stat("Requests", PanelUnit::RequestsPerSecond)
                .description("Requests that ended, a second. A sudden drop: look whether clients still reach the service.")
                .query(self.requests_rate().total()),
        );
        if let Some(errors) = self.error_ratio() {
            row = row.panel(
                with_error_thresholds(Panel::stat("Error ratio", PanelUnit::Ratio))
                    .description("Requests that failed: 5xx, errors, panics. Above 1 %: look below at which endpoint.")
                    .query(errors.total()),
            );
        }
        if let Some(duration) = self.name(Family::Duration) {
            row = row.panel(
                Panel::stat("p95 duration", PanelUnit::Seconds)
                    .description(
                        "One request in 20 took longer. It never exceeds the last finite bucket.",
                    )
                    .query(Query::quantile(0.95, duration)),
            );
        }
        if let Some(in_progress) = self.name(Family::InProgress) {
            row = row.panel(
                Panel::stat("In progress", PanelUnit::Count)
                    .description("Requests whose response has not ended. A steady rise: something that they wait for hangs.")
                    .query(Query::value(in_progress).total()),
            );
        }
        if let Some(aborted) = self.name(Family::AbortedBodies) {
            row = row.panel(
                Panel::stat("Aborted bodies", PanelUnit::EventsPerSecond)
                    .description("Responses cut off, a second. See the row on bodies for why.")
                    .query(Query::rate(aborted).total()),
            );
        }
        row.panel(
            Panel::stat("Overflow", PanelUnit::EventsPerSecond)
                .description(
                    "Requests counted as `overflow`, a second. Above 0: see the row on labels.",
                )
                .threshold(0.001, Severity::Warning)
                .query(Query::rate(OVERFLOW).total()),
        )
    }

    fn requests(&self) -> Row {
        let by = |title: &str, label: &str, description: &str| {
            Panel::time_series(title, PanelUnit::RequestsPerSecond)
                .description(description)
                .stacked()
                .query(self.requests_rate().by([label]))
        };
        let mut row = Row::new("Requests")
            .panel(by(
                "Requests by endpoint",
                self.endpoint(),
                "Requests a second. `unmatched` is what no route matched: scanners, or a layer that sits outside the router.",
            ))
            .panel(by(
                "Requests by method",
                self.method(),
                "Requests a second. `OTHER` is what is no standard method.",
            ));
        if let Some(status) = self.status() {
            row = row.panel(by(
                "Requests by status",
                status,
                "Requests a second. `cancelled`: clients left, or a timeout outside the layer; `error` and `panicked`: look at the log.",
            ));
        }
        if let Some(errors) = self.error_ratio() {
            row = row.panel(
                with_error_thresholds(Panel::time_series(
                    "Error ratio by endpoint",
                    PanelUnit::Ratio,
                ))
                .description("Requests that failed, of all of an endpoint. Look at the log of the one that stands out.")
                .query(errors.by([self.endpoint()])),
            );
        }
        row
    }

    fn durations(&self) -> Row {
        let mut row = Row::new("Durations");
        if let Some(duration) = self.name(Family::Duration) {
            row = row
                .panel(quantiles(
                    "Duration",
                    "From a request's arrival to the end of its response. All three up: the service is slow; only p99: some requests are.",
                    &duration,
                ))
                .panel(
                    Panel::time_series("p95 duration by endpoint", PanelUnit::Seconds)
                        .description("One request in 20 took longer. Look at what the slowest endpoint waits for.")
                        .query(Query::quantile(0.95, duration).by([self.endpoint()])),
                );
        }
        if let Some(head) = self.name(Family::HeadDuration) {
            row = row.panel(quantiles(
                "Time to the head",
                "From a request's arrival to the head of its response. Far below the duration: bodies are slow, or clients read slowly.",
                &head,
            ));
        }
        if let Some(body) = self.name(Family::RequestBodyDuration) {
            row = row.panel(quantiles(
                "Time to read request bodies",
                "From the first look at a body to its end. Long: clients send slowly.",
                &body,
            ));
        }
        row
    }

    fn in_progress(&self) -> Row {
        let mut row = Row::new("In progress");
        if let Some(in_progress) = self.name(Family::InProgress) {
            let endpoint = self.label(Family::InProgress, |part| matches!(part, Part::Endpoint));
            let by = endpoint.unwrap_or(self.method());
            row = row.panel(
                Panel::time_series(format!("In progress by {by}"), PanelUnit::Count)
                    .description("Requests whose response has not ended. One that only rises waits for something that hangs.")
                    .stacked()
                    .query(Query::value(in_progress).by([by])),
            );
        }
        if let Some(connections) = self.name(Family::OpenConnections) {
            row = row.panel(
                Panel::time_series("Open connections", PanelUnit::Count)
                    .description("Websockets, tunnels and event streams that are open. A steady rise: they are not closed.")
                    .stacked()
                    .query(Query::value(connections).by([self.endpoint(), "kind"])),
            );
        }
        row
    }

    fn bodies(&self) -> Row {
        let mut row = Row::new("Bodies");
        if let Some(aborted) = self.name(Family::AbortedBodies) {
            row = row.panel(
                Panel::time_series("Aborted bodies", PanelUnit::EventsPerSecond)
                    .description("Responses cut off, a second. `dropped`: clients left; `error` and `panicked`: look at the log.")
                    .query(Query::rate(aborted).by([self.endpoint(), "reason"])),
            );
        }
        for (family, title, description) in [
            (
                Family::ResponseBodySize,
                "Response sizes",
                "Bytes of response bodies, as they passed. A jump: an endpoint answers more than it did.",
            ),
            (
                Family::RequestBodySize,
                "Request sizes",
                "Bytes of request bodies, as the service read them. A jump: a client sends more than it did.",
            ),
        ] {
            let Some(size) = self.name(family) else {
                continue;
            };
            row = row.panel(QUANTILES.into_iter().fold(
                Panel::time_series(title, PanelUnit::Bytes).description(description),
                |panel, (word, quantile)| {
                    panel.query(Query::quantile(quantile, size.as_str()).legend(word))
                },
            ));
        }
        row
    }

    fn unmatched_and_overflow(&self) -> Panel {
        let unmatched = self.settings.naming.unmatched;
        let requests = self.requests_rate();
        Panel::time_series("Requests without an endpoint", PanelUnit::RequestsPerSecond)
            .description("Requests that no route matched, by method. Many with status 200: the layer is not told routes; add `EndpointLayer`.")
            .query(requests.with(self.endpoint(), unmatched).by([self.method()]))
    }
}

pub(super) const OVERFLOW: &str = "metrics_label_overflow_total";

/// What tells of labels that have too many values.
pub(super) fn labels(first: Panel) -> Row {
    Row::new("Labels").panel(first).panel(overflow())
}

/// The panel of labels that overflow.
pub(super) fn overflow() -> Panel {
    Panel::time_series("Overflow by label", PanelUnit::EventsPerSecond)
        .description("What was counted as `overflow` because a label had too many values. Raise its cap, or find who invents values.")
        .query(Query::rate(OVERFLOW).by(["family", "label"]))
}

/// p50, p95 and p99 of a histogram of seconds.
pub(super) fn quantiles(title: &str, description: &str, family: &str) -> Panel {
    QUANTILES.into_iter().fold(
        Panel::time_series(title, PanelUnit::Seconds).description(description),
        |panel, (word, quantile)| panel.query(Query::quantile(quantile, family).legend(word)),
    )
}

pub(super) fn with_error_thresholds(panel: Panel) -> Panel {
    panel
        .min(0.0)
        .threshold(0.01, Severity::Warning)
        .threshold(0.05, Severity::Critical)
}
