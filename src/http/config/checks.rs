//! Checks of [`HttpSettings`] that need no sink.

use std::collections::BTreeSet;

use crate::error::Errors;
use crate::http::config::endpoint_source::check_template;
use crate::http::config::http_label::check_labels;
use crate::http::config::http_metric::HttpMetric;
use crate::http::config::settings::{DURATION_BUCKETS, HttpSettings};
use crate::http::config::standard_label::StandardLabel;
use crate::http::labels::endpoint::UNMATCHED;
use crate::sink::layer_options::check_buckets;
use crate::sink::overflow::OVERFLOW;
use crate::sink::side::Side;

/// The maximum number of methods in addition to the standard ones.
const MAX_METHODS: usize = 50;

/// The maximum number of error kinds in addition to the fixed ones.
const MAX_ERROR_KINDS: usize = 43;

impl HttpSettings {
    /// Adds all errors that can be found without the sink.
    pub(crate) fn check(&self, errors: &mut Errors) {
        const MAX_ENDPOINTS: usize = 1_000_000;
        let Self {
            options,
            max_endpoints,
            naming,
            labels,
            routes,
            ..
        } = self;
        errors.add_range("max_endpoints", *max_endpoints, 1..=MAX_ENDPOINTS);
        let preregistered: BTreeSet<_> = routes.iter().map(|route| &route.endpoint).collect();
        if preregistered.len() > *max_endpoints {
            errors.push(format!(
                "max_endpoints must be at least the number of preregistered endpoints, {}, got {max_endpoints}; \
                 raise max_endpoints or preregister fewer",
                preregistered.len()
            ));
        }
        self.check_bounds(errors);
        errors.extend(naming.errors(|metric| self.is_measured(metric)));
        let custom = labels.iter().map(|label| label.name.as_str());
        let error_kind = self.error_kind_label();
        let standard = naming.labels().chain(error_kind);
        options.check(standard, custom, DURATION_BUCKETS, errors);
        self.check_custom_labels(errors);
        self.check_standard_labels(errors);
        self.check_templates(errors);
        self.check_error_kinds(errors);
        errors.add_range("number of methods", self.methods.len(), 0..=MAX_METHODS);
    }

    /// Checks the buckets of sizes and lifetimes, and that a metric uses them.
    fn check_bounds(&self, errors: &mut Errors) {
        if let Some(bounds) = &self.size_buckets {
            check_buckets("size_buckets", bounds, errors);
            if !HttpMetric::ALL
                .into_iter()
                .any(|m| m.has_size_buckets() && self.is_measured(m))
            {
                errors.push(
                    "size_buckets: no size is measured; add `.measure(HttpMetric::ResponseBodySize)` or \
                     `.with_request_body()`, or remove size_buckets",
                );
            }
        }
        if let Some(bounds) = &self.connection_buckets {
            check_buckets("connection_buckets", bounds, errors);
            if !self.is_measured(HttpMetric::ConnectionDuration) {
                errors.push(
                    "connection_buckets: the lifetime of connections is not measured; add \
                     `.measure(HttpMetric::ConnectionDuration)`, or remove connection_buckets",
                );
            }
        }
    }

    /// Checks that each metric can have the standard labels that are set for it.
    fn check_standard_labels(&self, errors: &mut Errors) {
        for (metric, labels) in &self.label_sets {
            if labels.contains(&StandardLabel::Status) && !metric.can_have_status() {
                errors.push(format!(
                    "standard_labels: HttpMetric::{metric:?} cannot have the label {:?}: only requests, responses, \
                     their durations and their sizes are recorded by status; remove StandardLabel::Status",
                    self.naming.status
                ));
            }
            if labels.contains(&StandardLabel::Method) && metric.is_of_connections() {
                errors.push(format!(
                    "standard_labels: HttpMetric::{metric:?} cannot have the label {:?}: connections are counted by \
                     endpoint and kind; remove StandardLabel::Method",
                    self.naming.method
                ));
            }
        }
    }

    /// Checks that skipped and preregistered endpoints are route templates, so that a typing error is not silent.
    fn check_templates(&self, errors: &mut Errors) {
        // Clients name their endpoints themselves.
        if self.side == Side::Client || self.endpoint_source.function.is_some() {
            return;
        }
        let is_word = |name: &str| name == self.naming.unmatched || name == OVERFLOW;
        for skipped in self.skip.iter().filter(|name| !is_word(name)) {
            self.check_endpoint("skip", skipped, errors);
        }
        for route in self.routes.iter().filter(|route| !is_word(&route.endpoint)) {
            self.check_endpoint("preregister", &route.endpoint, errors);
        }
    }

    fn check_endpoint(&self, setting: &str, name: &str, errors: &mut Errors) {
        if name == UNMATCHED {
            errors.push(format!(
                "{setting}: requests without an endpoint have the endpoint {0:?} with this naming, got {name:?}; \
                 write {0:?}",
                self.naming.unmatched
            ));
        } else {
            errors.add(check_template(setting, name));
        }
    }

    fn check_error_kinds(&self, errors: &mut Errors) {
        let added = &self.added_error_kinds;
        errors.add_range("number of error kinds", added.len(), 0..=MAX_ERROR_KINDS);
        if !(added.is_empty() || self.records_error_kinds) {
            errors.push(
                "error_kinds: the kinds of errors are not recorded; add `.with_error_kind(…)`, or remove error_kinds",
            );
        }
    }

    fn check_custom_labels(&self, errors: &mut Errors) {
        let counters = "the counters of requests and responses are";
        check_labels(&self.labels, |i| self.uses_label(i), counters, errors);
        if !self.routes.is_empty() {
            self.check_preregistered_labels(errors);
        }
    }

    fn check_preregistered_labels(&self, errors: &mut Errors) {
        const MAX_COMBINATIONS: usize = 10_000;
        let mut combinations = 1_usize;
        for label in &self.labels {
            let Some(values) = label.values.listed() else {
                errors.push(format!(
                    "preregister: the values of label {:?} are not known at start-up; list them with `values`, or \
                     do not preregister routes",
                    label.name
                ));
                continue;
            };
            combinations = combinations.saturating_mul(values.len());
        }
        let total = combinations.saturating_mul(self.routes.len());
        // Without labels, the number of routes is limited by `max_endpoints`.
        if total > MAX_COMBINATIONS.max(self.routes.len()) {
            errors.push(format!(
                "preregister: at most {MAX_COMBINATIONS} combinations of routes and label values are allowed, got \
                 {total}: {} routes, and {combinations} combinations of label values",
                self.routes.len()
            ));
        }
    }
}
