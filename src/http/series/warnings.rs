//! What a layer warns of: label values beyond their limit, a missing route, a layer inside itself.

use std::sync::atomic::Ordering;

use crate::http::labels::status::Status;
use crate::http::series::endpoint::EndpointKind;
use crate::http::series::layer::LayerSeries;
use crate::http::series::request::RequestSeries;
use crate::sink::overflow::OverflowCause;
use crate::sink::side::Side;

impl LayerSeries {
    /// Warns once that the inner service of this layer sent a request through this layer.
    #[cold]
    pub(crate) fn warn_of_nesting(&self) {
        if !self.is_nested.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "{}: a request reached the metrics layer from inside the same layer. If the layer is applied \
                 twice, for example to a router and to a router nested in it, requests are counted twice: keep \
                 the outer one. If a handler sends requests to its own router, the counts are right: ignore this \
                 warning.",
                self.main_name(),
            );
        }
    }

    /// Counts label values recorded as `overflow`, and warns if the layer never sees a route.
    #[cold]
    pub(super) fn notice(&self, series: &RequestSeries, status: Status) {
        let Self { settings, sink, .. } = self;
        let family = self.main_name();
        match series.endpoint.kind {
            EndpointKind::Route => {}
            EndpointKind::Unmatched => self.warn_of_missing_route(status),
            // Without the label, requests beyond the limit are not told apart anyway.
            EndpointKind::Overflow if !self.has_endpoint_label => {}
            EndpointKind::Overflow => {
                let label = &settings.naming.endpoint;
                let cause = || match self.endpoints.is_full() {
                    true => OverflowCause::Full {
                        limit: settings.max_endpoints,
                        advice: "raise `max_endpoints`, or check that endpoints are route templates and \
                                 not paths",
                    },
                    false => OverflowCause::TooLong,
                };
                self.endpoint_overflow.count(sink, family, label, cause);
            }
        }
        let labels = &series.labels;
        self.custom.count_overflow(labels.ids, sink, family);
        if let Some(rows) = &self.rows {
            let is_full = |label| rows.is_full(label);
            self.custom
                .count_open_overflow(&labels.open(), sink, family, is_full);
        }
    }

    /// Warns once if no request has had an endpoint after `ENOUGH` responses: the layer is probably applied
    /// where it does not see axum's route, or the function or the patterns for endpoints never match. Responses with
    /// 404 and 405 do not count, because scanners cause them.
    fn warn_of_missing_route(&self, status: Status) {
        const ENOUGH: u32 = 10;
        if self.matched.load(Ordering::Relaxed)
            || self.settings.side == Side::Client
            || !status.is_response()
            || status.is_unknown_route()
            || self.unmatched_responses.load(Ordering::Relaxed) >= ENOUGH
        {
            return;
        }
        if self.unmatched_responses.fetch_add(1, Ordering::Relaxed) + 1 == ENOUGH {
            tracing::warn!(
                "{}: no request had a matched route so far. {ENOUGH} responses with a status other than 404 \
                 and 405 are recorded with {}={:?}. With axum, apply the layer with `Router::layer`, or add \
                 `EndpointLayer` inside the router; only routes of axum 0.8 are recognized. Without a router, set \
                 `route_patterns`, `endpoint_fn` or `endpoint`.",
                self.main_name(),
                self.settings.naming.endpoint,
                self.unmatched.name,
            );
        }
    }
}
