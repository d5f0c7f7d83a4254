//! [`Needs`]: what a layer does with each request.

use crate::http::config::http_label::HttpLabel;
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
    pub(super) outcome: bool,
    /// The bytes of response bodies are counted as they pass.
    pub(super) bytes: bool,
    /// Only the status of a response head is read, and no label at the end, which would wait for trailers.
    pub(super) only_status: bool,
    pub(super) trace: bool,
    pub(super) head_time: bool,
    pub(super) duration_to_head: bool,
    pub(super) status_class: bool,
}

impl Needs {
    /// What an active layer does, or one that is off or waits for a recorder.
    pub(super) fn of(settings: &HttpSettings, active: bool) -> Self {
        let duration_to_head = settings.measure_until == MeasureUntil::Head;
        let only_router = settings.endpoint_source.is_router();
        let labels = !settings.labels.is_empty();
        let response = settings.labels.iter().any(HttpLabel::reads_response);
        let keeps_parameters = !settings.kept_parameters.is_empty();
        let only_standard = settings.methods.is_empty();
        let head_time = duration_to_head || settings.is_measured(HttpMetric::HeadDuration);
        let outcome = settings.labels.iter().any(HttpLabel::reads_outcome);
        Self {
            only_route: active
                && only_router
                && only_standard
                && !(labels || keeps_parameters)
                && settings.exemplar.is_none(),
            only_router,
            labels,
            outcome,
            bytes: settings.is_measured(HttpMetric::ResponseBytes),
            only_status: !(response || outcome || head_time),
            trace: settings.exemplar.is_some(),
            head_time,
            duration_to_head,
            status_class: settings.status_classes,
        }
    }
}
