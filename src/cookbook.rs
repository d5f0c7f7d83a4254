//! Questions, and the PromQL that answers them.
//!
//! The names are those of [`Naming::classic`](crate::Naming::classic). For a layer with another naming, the crate
//! `tower-prometheus-mixin` generates dashboards and rules with its names. A test runs each query of this page against a
//! Prometheus that scrapes a service.
//!
//! Two rules go before all others. Add up first what differs in labels you do not ask about, and take
//! quantiles and ratios last: quantiles cannot be added, and a mean of ratios weighs an idle endpoint like a
//! busy one. And write `[5m]` for a window of at least four scrapes; in Grafana, `[$__rate_interval]`.
//!
//! # Requests
//!
//! Requests a second, all together and by endpoint:
//!
//! ```promql
//! sum(rate(http_requests_total[5m]))
//! ```
//!
//! ```promql
//! sum by (endpoint) (rate(http_requests_total[5m]))
//! ```
//!
//! The three busiest endpoints:
//!
//! ```promql
//! topk(3, sum by (endpoint) (rate(http_requests_total[5m])))
//! ```
//!
//! Requests of the last hour by status; `increase` extrapolates, so they need not be whole numbers:
//!
//! ```promql
//! sum by (status) (increase(http_requests_total[1h]))
//! ```
//!
//! # Errors
//!
//! The share of requests that failed. What clients gave up, `cancelled`, is in the whole but not in the part:
//!
//! ```promql
//! sum(rate(http_requests_total{status=~"5..|error|panicked"}[5m])) / sum(rate(http_requests_total[5m]))
//! ```
//!
//! By endpoint, and 0 rather than nothing for endpoints that have never failed:
//!
//! ```promql
//! (sum by (endpoint) (rate(http_requests_total{status=~"5..|error|panicked"}[5m])) or 0 * sum by (endpoint) (rate(http_requests_total[5m])))
//!   / sum by (endpoint) (rate(http_requests_total[5m]))
//! ```
//!
//! Which endpoints panic:
//!
//! ```promql
//! sum by (endpoint) (rate(http_requests_total{status="panicked"}[5m])) > 0
//! ```
//!
//! Responses that were cut off, by why:
//!
//! ```promql
//! sum by (endpoint, reason) (rate(http_response_bodies_aborted_total[5m]))
//! ```
//!
//! # Durations
//!
//! What 95 of 100 requests do not exceed, by endpoint. `le` must be kept inside, and the answer never exceeds
//! the last finite bound:
//!
//! ```promql
//! histogram_quantile(0.95, sum by (le, endpoint) (rate(http_request_duration_seconds_bucket[5m])))
//! ```
//!
//! The mean:
//!
//! ```promql
//! sum(rate(http_request_duration_seconds_sum[5m])) / sum(rate(http_request_duration_seconds_count[5m]))
//! ```
//!
//! The share of requests that took at most 1 s; exact, because a bucket ends there. Prometheus has that bound as
//! `1.0` when it was scraped as OpenMetrics, and as `1` otherwise:
//!
//! ```promql
//! sum(rate(http_request_duration_seconds_bucket{le=~"1|1[.]0"}[5m])) / sum(rate(http_request_duration_seconds_count[5m]))
//! ```
//!
//! # Now
//!
//! Requests in progress, by endpoint, and connections that are open:
//!
//! ```promql
//! sum by (endpoint) (http_requests_in_progress)
//! ```
//!
//! ```promql
//! sum by (endpoint, kind) (http_connections_open)
//! ```
//!
//! Requests in progress per instance, by Little's law: rate times mean duration. Far below what the gauge
//! says, something hangs:
//!
//! ```promql
//! sum by (instance) (rate(http_request_duration_seconds_sum[5m]))
//! ```
//!
//! # The measuring itself
//!
//! Requests that no route matched, of all: scanners, or a layer that sits where it is not told routes:
//!
//! ```promql
//! sum(rate(http_requests_total{endpoint="unmatched"}[5m])) / sum(rate(http_requests_total[5m]))
//! ```
//!
//! Labels that overflow, and by how much:
//!
//! ```promql
//! sum by (family, label) (rate(metrics_label_overflow_total[5m]))
//! ```
//!
//! How many series each family costs:
//!
//! ```promql
//! count by (__name__) ({__name__=~"http_.+"})
//! ```
//!
//! Targets that cannot be scraped; nothing, when all is well:
//!
//! ```promql
//! up == 0
//! ```
