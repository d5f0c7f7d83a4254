//! Dashboard, recording rules and objectives of an HTTP layer, with the names that its configuration sets.

use tower_prometheus::{
    HttpMetrics,
    http::HttpMetric,
    model::{FamilyDescription, LabelDescription, LabelRole, LabelValues},
};

use super::common::{
    OVERFLOW, QUANTILES, duration_quantiles, overflow, quantiles, with_error_thresholds,
};
use crate::dashboard::Dashboard;
use crate::definitions::Definitions;
use crate::error::Error;
use crate::panel::{Panel, PanelUnit, Row};
use crate::query::Query;
use crate::rules::{Rule, RuleGroup};
use crate::severity::Severity;
use crate::slo::Slo;

impl Dashboard {
    /// Creates the dashboard of an HTTP layer.
    ///
    /// It shows requests by endpoint, method and status, error ratios, durations, requests in progress, open connections,
    /// aborted bodies, body sizes, and labels that exceed their limit. Metrics that the layer does not record have no panels.
    ///
    /// `http` is the configuration from which the service creates its layer, so that names and labels are the same.
    ///
    /// # Errors
    ///
    /// Returns an error if the configuration of the layer is not valid, or it records neither
    /// [`HttpMetric::Requests`] nor [`HttpMetric::Duration`].
    pub fn http(
        uid: impl Into<String>,
        title: impl Into<String>,
        http: impl AsRef<HttpMetrics>,
    ) -> Result<Self, Error> {
        let http = http.as_ref();
        let layer = HttpFamilies::new(http)?;
        let dashboard = Self::new(uid, title, Definitions::new(http.families()?))
            .description("Requests of an HTTP layer: rate, errors and durations.")
            .tag("http");
        let rows = [
            layer.overview(),
            layer.requests(),
            layer.durations(),
            layer.in_progress(),
            layer.bodies(),
            layer
                .unmatched()
                .into_iter()
                .fold(Row::new("Labels"), Row::panel)
                .panel(overflow()),
        ];
        let rows = rows.into_iter().filter(|row| !row.panels.is_empty());
        Ok(rows.fold(dashboard, Self::row))
    }
}

impl RuleGroup {
    /// Creates recording rules of an HTTP layer, over 5 minutes: for each job, and for each job and endpoint.
    ///
    /// | recorded series for each job, with default names | value |
    /// |---|---|
    /// | `job:http_requests:rate5m` | requests per second |
    /// | `job:http_requests_errors:ratio_rate5m` | error ratio |
    /// | `job:http_request_duration_seconds:p50_rate5m`, `…:p95_rate5m`, `…:p99_rate5m` | quantiles of the duration |
    ///
    /// The series for each endpoint have the same names with `job_endpoint:` at the start. Names follow the
    /// [naming](tower_prometheus::http::Naming) of the layer. A series is omitted if the layer does not record its metric.
    ///
    /// With many instances, dashboards are faster if they query these series: Prometheus then reads every bucket of every
    /// instance once per evaluation, instead of once each time that a dashboard is viewed.
    ///
    /// # Errors
    ///
    /// As [`Dashboard::http`].
    pub fn http(name: impl Into<String>, http: impl AsRef<HttpMetrics>) -> Result<Self, Error> {
        let layer = HttpFamilies::new(http.as_ref())?;
        let mut levels = vec![vec!["job"]];
        levels.extend(
            layer
                .endpoint
                .as_deref()
                .map(|endpoint| vec!["job", endpoint]),
        );
        let mut group = Self::new(name);
        for by in &levels {
            let level = by.join("_");
            let requests = layer.recorded_name();
            group = group.rule(Rule::record(
                format!("{level}:{requests}:rate5m"),
                layer.requests_rate().by(by.clone()),
            ));
            if let Some(errors) = layer.error_ratio() {
                group = group.rule(Rule::record(
                    format!("{level}:{requests}_errors:ratio_rate5m"),
                    errors.by(by.clone()),
                ));
            }
            let Some(duration) = name_of(&layer.duration) else {
                continue;
            };
            for (word, quantile) in QUANTILES {
                group = group.rule(Rule::record(
                    format!("{level}:{duration}:{word}_rate5m"),
                    Query::quantile(quantile, duration).by(by.clone()),
                ));
            }
        }
        Ok(group)
    }
}

impl Slo {
    /// Creates an objective for the fraction of a layer's requests that do not fail: at least `objective`, such as 0.999.
    ///
    /// | request | failed |
    /// |---|---|
    /// | 5xx response, error of the service, panic | yes |
    /// | 4xx response, cancelled | no |
    ///
    /// `name` becomes the label `slo`.
    ///
    /// # Errors
    ///
    /// Returns an error if the configuration of the layer is not valid, or its metrics do not have the status: it records
    /// neither [`HttpMetric::Requests`], nor durations with
    /// [`status_on_durations`](HttpMetrics::status_on_durations).
    pub fn http_availability(
        name: impl Into<String>,
        objective: f64,
        http: impl AsRef<HttpMetrics>,
    ) -> Result<Self, Error> {
        let layer = HttpFamilies::new(http.as_ref())?;
        let failed = layer.failed().ok_or_else(|| {
            Error::new("no metric of the layer has the status: record `HttpMetric::Requests`")
        })?;
        let slo = Self::availability(name, objective, failed, layer.requests_rate()).of("requests");
        Ok(match layer.endpoint {
            Some(_) => slo.description("The panel \"Error ratio by endpoint\" of the HTTP dashboard shows where requests fail; then see the log of that endpoint."),
            None => slo,
        })
    }

    /// Creates an objective for the fraction of a layer's requests that take at most `within` seconds: at least
    /// `objective`, such as 0.99.
    ///
    /// `name` becomes the label `slo`. `within` can be any number if the definitions of the rules give the durations
    /// [native buckets](crate#native-histograms). Otherwise, and with
    /// [`mixed_histograms`](crate::Definitions::mixed_histograms), it must be one of the layer's `duration_buckets`,
    /// or [`Rules::to_yaml`](crate::Rules::to_yaml) returns an error.
    ///
    /// # Errors
    ///
    /// Returns an error if the configuration of the layer is not valid, or it does not record durations.
    pub fn http_latency(
        name: impl Into<String>,
        objective: f64,
        within: f64,
        http: impl AsRef<HttpMetrics>,
    ) -> Result<Self, Error> {
        let layer = HttpFamilies::new(http.as_ref())?;
        let duration = layer.duration.ok_or_else(|| {
            Error::new("the layer does not record durations: record `HttpMetric::Duration`")
        })?;
        let slo = Self::latency(name, objective, within, duration.name).of("requests");
        Ok(match layer.endpoint {
            Some(_) => slo.description("The panel \"p95 duration by endpoint\" of the HTTP dashboard shows which endpoint is slow; then find out what it waits for."),
            None => slo,
        })
    }
}

/// The metric families that a layer records, and the labels of its requests.
struct HttpFamilies {
    /// The counter of requests, or, without a counter, the histogram of durations: its `_count` counts the same requests.
    total: FamilyDescription,
    duration: Option<FamilyDescription>,
    head_duration: Option<FamilyDescription>,
    request_body_duration: Option<FamilyDescription>,
    in_progress: Option<FamilyDescription>,
    open_connections: Option<FamilyDescription>,
    aborted_bodies: Option<FamilyDescription>,
    aborted_request_bodies: Option<FamilyDescription>,
    connection_duration: Option<FamilyDescription>,
    response_bytes: Option<FamilyDescription>,
    response_body_size: Option<FamilyDescription>,
    request_body_size: Option<FamilyDescription>,
    /// The labels of requests, unless the layer leaves them out.
    method: Option<String>,
    endpoint: Option<String>,
    /// The value of the endpoint label for requests without a matched route.
    unmatched: String,
}

impl HttpFamilies {
    fn new(http: &HttpMetrics) -> Result<Self, Error> {
        let duration = http.family(HttpMetric::Duration)?;
        let total = http
            .family(HttpMetric::Requests)?
            .or_else(|| duration.clone());
        let total = total.ok_or_else(|| {
            Error::new(
                "the layer counts no requests: record `HttpMetric::Requests` or `HttpMetric::Duration`",
            )
        })?;
        let label = |role| total.label_with_role(role).cloned();
        let (method, endpoint) = (label(LabelRole::Method), label(LabelRole::Endpoint));
        let name = |label: &LabelDescription| label.name.clone().into_owned();
        Ok(Self {
            duration,
            head_duration: http.family(HttpMetric::HeadDuration)?,
            request_body_duration: http.family(HttpMetric::RequestBodyDuration)?,
            in_progress: http.family(HttpMetric::InProgress)?,
            open_connections: http.family(HttpMetric::OpenConnections)?,
            aborted_bodies: http.family(HttpMetric::AbortedBodies)?,
            aborted_request_bodies: http.family(HttpMetric::AbortedRequestBodies)?,
            connection_duration: http.family(HttpMetric::ConnectionDuration)?,
            response_bytes: http.family(HttpMetric::ResponseBytes)?,
            response_body_size: http.family(HttpMetric::ResponseBodySize)?,
            request_body_size: http.family(HttpMetric::RequestBodySize)?,
            method: method.as_ref().map(name),
            endpoint: endpoint.as_ref().map(name),
            unmatched: endpoint
                .and_then(|endpoint| endpoint.fallback)
                .unwrap_or_default()
                .into_owned(),
            total,
        })
    }

    fn requests_rate(&self) -> Query {
        Query::rate(self.total.name.as_str())
    }

    /// Returns the metric part of the names of recorded series, without `_total`, because a rate is not a counter.
    fn recorded_name(&self) -> &str {
        let name = self.total.name.as_str();
        name.strip_suffix("_total").unwrap_or(name)
    }

    fn status(&self) -> Option<&str> {
        let status = self.total.label_with_role(LabelRole::Status)?;
        Some(&status.name)
    }

    /// Returns the rate of failed requests, or `None` if the metric has no label with the status.
    fn failed(&self) -> Option<Query> {
        let requests = self.requests_rate();
        if let Some(error_type) = self.total.label_with_role(LabelRole::ErrorType) {
            return Some(requests.not_matching(error_type.name.as_ref(), "|cancelled"));
        }
        let status = self.total.label_with_role(LabelRole::Status)?;
        // Status classes are a fixed set of values, status codes are not.
        let failed = match status.values {
            LabelValues::Closed(_) => "5xx|error|panicked",
            _ => "5..|error|panicked",
        };
        Some(requests.matching(status.name.as_ref(), failed))
    }

    fn error_ratio(&self) -> Option<Query> {
        Some(Query::ratio(self.failed()?, self.requests_rate()))
    }

    fn overview(&self) -> Row {
        let mut row = Row::new("Overview").panel(
            Panel::stat("Requests", PanelUnit::RequestsPerSecond)
                .description("Requests that ended, per second. After a sudden drop, check whether clients reach the service.")
                .query(self.requests_rate().sum()),
        );
        if let Some(errors) = self.error_ratio() {
            row = row.panel(
                with_error_thresholds(Panel::stat("Error ratio", PanelUnit::Ratio))
                    .description("Share of requests that failed: 5xx, errors and panics. Above 1 %, see the row Requests for the endpoint.")
                    .query(errors.sum()),
            );
        }
        if let Some(duration) = name_of(&self.duration) {
            row = row.panel(
                Panel::stat("p95 duration", PanelUnit::Seconds)
                    .description("5 % of the requests took longer.")
                    .bucket_limit()
                    .query(Query::quantile(0.95, duration)),
            );
        }
        if let Some(in_progress) = name_of(&self.in_progress) {
            row = row.panel(
                Panel::stat("In progress", PanelUnit::Count)
                    .description("Requests whose response has not ended. A steady rise means that they wait for something that does not answer.")
                    .query(Query::value(in_progress).sum()),
            );
        }
        if let Some(aborted) = &self.aborted_bodies {
            row = row.panel(
                Panel::stat("Aborted bodies", PanelUnit::OpsPerSecond)
                    .description("Responses per second whose body was not completed. See the row Bodies for the endpoint and the reason.")
                    .query(aborted_rate(aborted).sum()),
            );
        }
        row.panel(
            Panel::stat("Overflow", PanelUnit::OpsPerSecond)
                .description("Observations per second beyond the limit of a label. Above 0, see the row Labels for the metric and the label.")
                .threshold(0.001, Severity::Warning)
                .query(Query::rate(OVERFLOW).sum()),
        )
    }

    fn requests(&self) -> Row {
        let by = |title: &str, label: &str, description: &str| {
            Panel::time_series(title, PanelUnit::RequestsPerSecond)
                .description(description)
                .stacked()
                .query(self.requests_rate().by([label]))
        };
        let unmatched = match self.unmatched.as_str() {
            "" => "Empty".to_owned(),
            unmatched => format!("`{unmatched}`"),
        };
        let mut row = Row::new("Requests");
        if let Some(endpoint) = &self.endpoint {
            row = row.panel(by(
                "Requests by endpoint",
                endpoint,
                &format!("Requests per second. {unmatched}: no route matched, because of scanners or because the layer does not see the routes."),
            ));
        }
        if let Some(method) = &self.method {
            row = row.panel(by(
                "Requests by method",
                method,
                "Requests per second. All nonstandard methods share one value.",
            ));
        }
        if let Some(status) = self.status() {
            row = row.panel(by(
                "Requests by status",
                status,
                "Requests per second. `cancelled`: the client disconnected, or a timeout outside of the layer. `error` and `panicked`: see the log.",
            ));
        }
        if let (Some(errors), Some(endpoint)) = (self.error_ratio(), &self.endpoint) {
            row = row.panel(
                with_error_thresholds(Panel::time_series(
                    "Error ratio by endpoint",
                    PanelUnit::Ratio,
                ))
                .description("Share of each endpoint's requests that failed. See the log of the endpoint with the highest ratio.")
                .query(errors.by([endpoint.as_str()])),
            );
        }
        row
    }

    fn durations(&self) -> Row {
        let mut row = Row::new("Durations");
        if let Some(duration) = name_of(&self.duration) {
            row = row.panel(duration_quantiles(
                "Duration",
                "Time from the arrival of a request to the end of its response. If all three rise, the service is slow. If only p99 rises, some requests are slow.",
                duration,
            ));
            if let Some(endpoint) = &self.endpoint {
                row = row.panel(
                    Panel::time_series("p95 duration by endpoint", PanelUnit::Seconds)
                        .description("5 % of the endpoint's requests took longer. Find out what the slowest endpoint waits for.")
                        .query(Query::quantile(0.95, duration).by([endpoint.as_str()])),
                );
            }
        }
        if let Some(head) = name_of(&self.head_duration) {
            row = row.panel(duration_quantiles(
                "Time to the response head",
                "Time from the arrival of a request to the head of its response. If it is far below the duration, bodies are slow or clients read slowly.",
                head,
            ));
        }
        if let Some(body) = name_of(&self.request_body_duration) {
            row = row.panel(duration_quantiles(
                "Time to read request bodies",
                "Time from the first read of a request body to its end. If it is long, clients send slowly.",
                body,
            ));
        }
        row
    }

    fn in_progress(&self) -> Row {
        let mut row = Row::new("In progress");
        if let Some(in_progress) = &self.in_progress {
            let roles = [LabelRole::Endpoint, LabelRole::Method];
            let by = labels_of(in_progress, roles).into_iter().next();
            let value = Query::value(in_progress.name.as_str());
            let (title, query) = match by {
                Some(by) => (format!("In progress by {by}"), value.by([by])),
                None => ("In progress".to_owned(), value.sum()),
            };
            row = row.panel(
                Panel::time_series(title, PanelUnit::Count)
                    .description("Requests whose response has not ended. If one line only rises, its requests wait for something that does not answer.")
                    .stacked()
                    .query(query),
            );
        }
        if let Some(connections) = &self.open_connections {
            let by = labels_of(
                connections,
                [LabelRole::Endpoint, LabelRole::ConnectionKind],
            );
            row = row.panel(
                Panel::time_series("Open connections", PanelUnit::Count)
                    .description("Open WebSockets, tunnels and event streams. A steady rise means that they are not closed.")
                    .stacked()
                    .query(Query::value(connections.name.as_str()).by(by)),
            );
        }
        if let Some(lifetime) = name_of(&self.connection_duration) {
            row = row.panel(duration_quantiles(
                "Connection lifetimes",
                "Lifetime of connections that have ended. If all become much shorter, a proxy between clients and the service may close them.",
                lifetime,
            ));
        }
        row
    }

    fn bodies(&self) -> Row {
        let mut row = Row::new("Bodies");
        if let Some(aborted) = &self.aborted_bodies {
            let by = labels_of(aborted, [LabelRole::Endpoint, LabelRole::Reason]);
            row = row.panel(
                Panel::time_series("Aborted bodies", PanelUnit::OpsPerSecond)
                    .description("Responses per second whose body was not completed. `dropped`: the client disconnected. `error` and `panicked`: see the log.")
                    .query(aborted_rate(aborted).by(by)),
            );
        }
        if let Some(aborted) = &self.aborted_request_bodies {
            let by = labels_of(aborted, [LabelRole::Endpoint, LabelRole::Reason]);
            row = row.panel(
                Panel::time_series("Aborted request bodies", PanelUnit::OpsPerSecond)
                    .description("Request bodies per second that were not completed. If there are many, clients or a proxy give up: see how long request bodies take to read.")
                    .query(aborted_rate(aborted).by(by)),
            );
        }
        if let Some(bytes) = &self.response_bytes {
            let by = labels_of(bytes, [LabelRole::Endpoint]);
            row = row.panel(
                Panel::time_series("Bytes sent", PanelUnit::BytesPerSecond)
                    .description(
                        "Bytes of response bodies per second, including streams that are still open.",
                    )
                    .stacked()
                    .query(Query::rate(bytes.name.as_str()).by(by)),
            );
        }
        for (family, title, description) in [
            (
                &self.response_body_size,
                "Response sizes",
                "Bytes of response bodies that passed the layer. After a jump, find the endpoint whose responses have grown.",
            ),
            (
                &self.request_body_size,
                "Request sizes",
                "Bytes of request bodies that the service read. After a jump, find the client that sends more.",
            ),
        ] {
            let Some(size) = name_of(family) else {
                continue;
            };
            let panel = Panel::time_series(title, PanelUnit::Bytes).description(description);
            row = row.panel(quantiles(panel, size));
        }
        row
    }

    /// Returns the panel of unmatched requests, or `None` if the layer leaves the endpoint out.
    fn unmatched(&self) -> Option<Panel> {
        let endpoint = self.endpoint.as_deref()?;
        let unmatched = self.requests_rate().with(endpoint, self.unmatched.as_str());
        let query = match &self.method {
            Some(method) => unmatched.by([method.as_str()]),
            None => unmatched.sum(),
        };
        Some(
            Panel::time_series("Unmatched requests", PanelUnit::RequestsPerSecond)
                .description("Requests per second that no route matched, by method. If many have status 200, the layer does not see the routes: add `EndpointLayer`.")
                .query(query),
        )
    }
}

/// The rate of aborted bodies, without those that a client did not read because it did not need them.
fn aborted_rate(aborted: &FamilyDescription) -> Query {
    const UNREAD: &str = "unread";
    let rate = Query::rate(aborted.name.as_str());
    let reason = aborted.label_with_role(LabelRole::Reason);
    let has_unread = |reason: &&LabelDescription| match &reason.values {
        LabelValues::Closed(values) => values.iter().any(|value| value == UNREAD),
        _ => false,
    };
    match reason.filter(has_unread) {
        Some(reason) => rate.not_matching(reason.name.as_ref(), UNREAD),
        None => rate,
    }
}

fn name_of(family: &Option<FamilyDescription>) -> Option<&str> {
    family.as_ref().map(|family| family.name.as_str())
}

/// Returns the names of the labels with these roles, in this order.
fn labels_of<const N: usize>(family: &FamilyDescription, roles: [LabelRole; N]) -> Vec<String> {
    let labels = roles.into_iter();
    let labels = labels.filter_map(|role| family.label_with_role(role));
    labels.map(|label| label.name.to_string()).collect()
}
