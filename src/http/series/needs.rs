//! [`Needs`]: what a layer does with each request.

use crate::http::config::http_metric::HttpMetric;
use crate::http::config::settings::{HttpSettings, MeasureUntil};

/// What a layer does with each request. A summary of the settings, which are too large to be read for each
/// request.
#[derive(Clone, Copy)]
pub(super) struct Needs {
    /// Only the route and the method of a request are read.
    pub(super) only_route: bool,
    /// The endpoint is read only from extensions.
    pub(super) only_router: bool,
    pub(super) labels: bool,
    pub(super) response: bool,
    /// Only the status of a response head is read.
    pub(super) only_status: bool,
    pub(super) trace: bool,
    pub(super) head_time: bool,
    pub(super) duration_to_head: bool,
    pub(super) status_class: bool,
}

impl Needs {
    pub(super) fn of(settings: &HttpSettings) -> Self {
        let duration_to_head = settings.measure_until == MeasureUntil::Head;
        let only_router = settings.endpoint_source.is_router();
        let labels = !settings.labels.is_empty();
        let response = settings.labels.iter().any(|label| label.reads_response());
        let head_time = duration_to_head || settings.is_measured(HttpMetric::HeadDuration);
        Self {
            only_route: only_router && !labels && settings.exemplar.is_none(),
            only_router,
            labels,
            response,
            only_status: !(response || head_time),
            trace: settings.exemplar.is_some(),
            head_time,
            duration_to_head,
            status_class: settings.status_classes,
        }
    }
}
