//! What a family costs: series, how many there may be, and what to do when there are too many.
//!
//! # How many series there are
//!
//! A series is one line of the page. Prometheus keeps each in memory while it is scraped, for every
//! instance:
//!
//! | family | series of one instance |
//! |---|---|
//! | `http_requests_total` | endpoints x methods each is asked with x statuses each answers with x values of own labels |
//! | `http_request_duration_seconds` | endpoints x methods x (buckets + 3) |
//! | the same with `status_on_durations` | endpoints x methods x statuses x (buckets + 3) |
//! | `http_requests_in_progress` | endpoints x methods |
//! | `http_response_body_size_bytes` | as the durations |
//!
//! "+ 3" are the bucket `+Inf`, the sum and the count. A service with 50 endpoints that are asked with one method
//! each, answer with three statuses, and have the default 11 buckets:
//!
//! | | one instance | 20 instances |
//! |---|---|---|
//! | requests | 50 x 3 = 150 | 3,000 |
//! | durations | 50 x 14 = 700 | 14,000 |
//! | in progress | 50 | 1,000 |
//! | together | 900 | 18,000 |
//! | with the status on durations | 150 + 50 x 3 x 14 + 50 = 2,300 | 46,000 |
//! | and response sizes, of 10 buckets | 2,300 + 50 x 3 x 13 = 4,250 | 85,000 |
//!
//! Endpoints and instances multiply with buckets, so a histogram is where series go. `count by (__name__) ({job="shop"})`
//! in Prometheus says where they went, and `topk(10, count by (__name__) ({__name__=~".+"}))` for all jobs.
//!
//! # What bounds them
//!
//! Nothing that a client sends makes a series: paths are not labels, methods are a closed set, and past
//! [`max_endpoints`](crate::HttpMetrics::max_endpoints), 1000 unless set, further endpoints are one, `overflow`. Own labels have a
//! cap each ([`Label::max_values`](crate::Label::max_values)), and the caps multiply. What overflows is counted in
//! `metrics_label_overflow_total`, on which to alert.
//!
//! The worst case of a layer is thus known before it runs: (`max_endpoints` + 2) x methods x statuses x caps. Make the
//! product of what you set something that your Prometheus can hold for all instances.
//!
//! # When there are too many
//!
//! In this order, from what costs nobody anything:
//!
//! 1. **Fewer buckets.** Keep those that an objective or an alert asks for, and one or two on either side:
//!    `duration_buckets([0.1, 0.25, 0.5, 1.0, 2.5])` halves the default. A quantile needs bounds near where it lies; an objective
//!    needs one exactly.
//! 2. **Labels off the durations.** The status, and own labels, belong on the counter, where a value costs one series and
//!    not one for each bucket. That is the default; `status_on_durations` and `on_durations` are what to take back.
//! 3. **Status classes.** `status_classes()` when nobody tells 500 from 503 by a dashboard.
//! 4. **Families that nobody asks for**: `without(Family::…)`.
//! 5. **Drop at the scrape** what you cannot change in the program, with `metric_relabel_configs`: a whole family by
//!    `__name__`, or buckets by `le`. Not a single label: two series that differ only in it would become one, twice, and the scrape
//!    would fail.
//!
//! Never drop `job` and `instance`; a counter's resets are per instance, and `rate` must see them before `sum` does.
//!
//! # Recording rules
//!
//! A dashboard that asks for p95 by endpoint over 20 instances reads 50 x 12 x 20 = 12,000 series, each time anybody looks. A recording
//! rule reads them once an interval and keeps 50:
//!
//! ```yaml
//! groups:
//! - name: http
//!   rules:
//!   - record: job_endpoint:http_request_duration_seconds:p95_rate5m
//!     expr: histogram_quantile(0.95, sum by (le, job, endpoint) (rate(http_request_duration_seconds_bucket[5m])))
//! ```
//!
//! They are named `level:metric:operations`: which labels are left, what of, and what was done. Record when a query is slow, when
//! many look at the same, when an alert asks over days (objectives do), or when raw series are kept for a shorter time than
//! you want to look back. Do not record what is asked once a month. Record sums and rates when they will be aggregated further;
//! ratios and quantiles are the end of the line.
//!
//! The crate `tower-prometheus-mixin` generates these rules for a layer under any naming.
//!
//! # Many machines
//!
//! Counters and histograms of several instances add up, and the rules and dashboards of `tower-prometheus-mixin` add them up before they divide:
//! `rate` for each instance, then `sum by (job)`, then the ratio or the quantile. A mean of ratios, or of quantiles, is the ratio or the
//! quantile of nothing. What that needs of the instances:
//!
//! - **The same buckets.** Instances that differ in bounds give a sum that jumps where one has a bound and the other has none.
//!   Roll a change of buckets out to all of them soon.
//! - **Series from the start.** `rate` takes the first sample that it sees for granted, so a series that begins with its third
//!   error never counts three. [`HttpMetrics::declare`](crate::HttpMetrics::declare) makes them begin at 0; catalogues do so for closed
//!   labels.
//! - **Nothing that tells instances apart** among the registry's labels: `instance` and `pod` come with the scrape.
//!
//! # Past one machine for the store
//!
//! The services stay as they are; what grows is the store, by means of its own:
//!
//! | | writes | asked at | rules |
//! |---|---|---|---|
//! | several Prometheus, each with some of the jobs | each scrapes its own | one proxy each | each evaluates those of its jobs |
//! | VictoriaMetrics cluster | vmagent, to vminsert | vmselect, `/select/{tenant}/prometheus` | vmalert, the same files |
//! | Mimir | Prometheus, by `remote_write` | `/prometheus`, tenant in `X-Scope-OrgID` | its ruler, the same files |
//!
//! Split by job before anything else: rules aggregate within a job, so each job's are right wherever it is. Where one job is too much for one
//! scraper, split its instances over several, let them write into a cluster, and evaluate the rules there, where all
//! instances are. Two scrapers of the same instance, in case one fails, need the cluster's deduplication, or sums count twice.
//!
//! The feature `query` has a proxy that takes the cluster's base path, or the tenant's header, in place of a single store's URL.
