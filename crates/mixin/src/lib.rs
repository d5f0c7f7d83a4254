//! Grafana dashboards, Prometheus rules and scrape configurations, generated from the metric definitions of
//! [`tower_prometheus`].
//!
//! A handwritten dashboard breaks silently: after a label is renamed, a panel is empty, which is often noticed only when
//! the panel is needed. This crate generates dashboards and rules from the configuration of the layer and from the catalogue
//! of custom metrics. It looks up every metric, label and label value of a query while it generates a file. If one does
//! not exist, generation fails with an error that lists the alternatives.
//!
//! ```
//! use tower_prometheus::HttpMetrics;
//! use tower_prometheus_mixin::{
//!     Dashboard, Error, Mixin, Panel, PanelUnit, Query, Rule, RuleGroup, Rules, ScrapeConfig, ScrapeJob, Severity, Slo,
//! };
//!
//! /// The service creates its layer from the same configuration.
//! fn http() -> HttpMetrics {
//!     HttpMetrics::server().prefix("shop")
//! }
//!
//! fn mixin() -> Result<Mixin, Error> {
//!     let (http, families) = (http(), http().families()?);
//!     let checkouts = Query::rate("shop_http_requests_total").with("endpoint", "/checkout");
//!     let rules = Rules::new(&families)
//!         .job("shop")
//!         .group(RuleGroup::http("http", &http)?)
//!         .group(Slo::http_availability("http", 0.999, &http)?.group()?)
//!         .group(Slo::http_latency("http_fast", 0.99, 0.25, &http)?.group()?)
//!         .group(RuleGroup::health("health", &families))
//!         .group(
//!             RuleGroup::new("shop").rule(
//!                 Rule::alert("FewCheckouts", checkouts.clone().sum().below(0.01))
//!                     .for_duration("15m")
//!                     .severity(Severity::Warning)
//!                     .summary("Less than 0.01 checkouts per second")
//!                     .description("Check whether the basket page works."),
//!             ),
//!         );
//!     let sales = Dashboard::new("shop-sales", "Shop: sales", &families).panel(
//!         Panel::time_series("Checkouts", PanelUnit::RequestsPerSecond)
//!             .description("Checkouts per second, by status. Many 402 responses: the payment provider refuses.")
//!             .query(checkouts.by(["status"])),
//!     );
//!     Ok(Mixin::new()
//!         .dashboard(Dashboard::http("shop-http", "Shop: HTTP", &http)?)
//!         .dashboard(sales)
//!         .rules("shop", rules)
//!         .scrape_config(ScrapeConfig::new().job(ScrapeJob::new("shop").target("shop:8080"))))
//! }
//!
//! let directory = "deploy/monitoring";
//! # let name = format!("tower-prometheus-mixin-{}", std::process::id());
//! # let directory = std::env::temp_dir().join(name).join(directory);
//! mixin()?.write_to(&directory)?;
//! # std::fs::remove_dir_all(directory.ancestors().nth(2).unwrap()).unwrap();
//! # Ok::<(), Error>(())
//! ```
//!
//! Keep the generated files in the repository, with a test that compares them with the output of [`Mixin::files`]. If a
//! label is renamed, the same review then shows the changed dashboard.
//!
//! # What is generated
//!
//! | item | generates |
//! |---|---|
//! | [`Dashboard::http`], [`Dashboard::grpc`] | request rate, errors and durations of a layer, under its own names |
//! | [`Dashboard::process`] | process, tokio runtime and collectors |
//! | [`Dashboard::of_families`] | one panel or two for each metric family of any catalogue |
//! | [`Row::of_families`] | the same panels, as a row of another dashboard |
//! | [`Slo::row`] | the remaining error budget and the burn rate, as a row of a dashboard |
//! | [`Dashboard::new`] | a custom dashboard of [`Row`]s, [`Panel`]s and [`Query`]s |
//! | [`RuleGroup::http`], [`RuleGroup::grpc`] | recording rules of a layer |
//! | [`RuleGroup::health`] | alerts: a scrape fails, all targets of a job are gone, a label exceeds its limit, a collector fails |
//! | [`Rule::targets_missing`] | an alert: all targets of a job are gone |
//! | [`Slo`] | recording rules and four burn-rate alerts of a service level objective |
//! | [`RuleGroup::new`] | custom [`Rule`]s |
//! | [`ScrapeConfig`] | the configuration of Prometheus and of vmagent |
//! | [`Mixin`] | all files of a deployment, in a directory |
//!
//! # What is checked
//!
//! | part | rule |
//! |---|---|
//! | metric families, labels, values of labels with a fixed set of values | are defined |
//! | functions | fit the type of the metric: the rate of a counter, the value of a gauge, a quantile of a histogram |
//! | operands of an operator | have the same labels, so that their series match |
//! | threshold of a quantile | can be reached: a quantile of classic buckets never exceeds the last finite bound |
//! | bound of a latency objective | is a bound of classic buckets, because between bounds Prometheus only estimates; any bound for [native histograms](#native-histograms) without [`mixed_histograms`](Definitions::mixed_histograms) |
//! | legends, and `{{ $labels.… }}` in summaries and descriptions | use labels that the query keeps |
//! | regular expressions | have the syntax of RE2, which Prometheus uses |
//! | summaries, descriptions and other templates of alerts | have the syntax, functions and variables of Prometheus |
//! | panels | have a title, a unit, a description and a query |
//! | alerts | have a severity, a summary and a description; two rules differ in name or labels |
//!
//! Regular expressions of [`Query::matching`] and [`Query::not_matching`] are not compared with the defined label values.
//! Panels that were added in Grafana are not checked.
//!
//! Dashboards use the JSON model of Grafana 10. Every query uses the variables `job` and `instance`; of pushed jobs, only
//! `job` (see [`Dashboard::without_instance`]). Rates use
//! `$__rate_interval` unless [`Query::over`] sets another range.
//!
//! # Native histograms
//!
//! | to | use |
//! |---|---|
//! | query native histograms in dashboards and rules | [`Definitions::histograms_in`] and [`Dashboard::histograms_in`], with the registry of the service |
//! | query native or classic ones, while a fleet changes | [`Definitions::mixed_histograms`] and [`Dashboard::mixed_histograms`] |
//! | make Prometheus scrape them | [`ScrapeConfig::native_histograms`], with its version |
//!
//! Without these settings, all queries read classic buckets, also of a registry that has both.
//!
//! ```
//! use tower_prometheus::{HttpMetrics, Registry};
//! use tower_prometheus_mixin::{Dashboard, Definitions, Error, Mixin, Rules, ScrapeConfig, ScrapeJob, Slo};
//!
//! /// The service calls `registry` and `install` on its result, instead of `build`.
//! fn registry() -> tower_prometheus::RegistryBuilder {
//!     Registry::builder().native_histograms(1.1)
//! }
//!
//! fn mixin(http: &HttpMetrics) -> Result<Mixin, Error> {
//!     let registry = registry().build()?;
//!     let definitions = Definitions::new(http.families()?).histograms_in(&registry);
//!     // 0.3 s is not a bound of the classic buckets.
//!     let fast = Slo::http_latency("fast", 0.99, 0.3, http)?;
//!     Ok(Mixin::new()
//!         .dashboard(Dashboard::http("shop-http", "Shop: HTTP", http)?.histograms_in(&registry))
//!         .rules("shop", Rules::new(definitions).group(fast.group()?))
//!         .scrape_config(ScrapeConfig::new().native_histograms("3.8").job(ScrapeJob::new("shop").target("shop:8080"))))
//! }
//! # assert!(mixin(&HttpMetrics::server())?.files()?.values().all(|file| !file.contains("_bucket")));
//! # Ok::<(), Error>(())
//! ```
//!
//! For queries to run by hand, see the [PromQL guide](tower_prometheus::_guide::promql). For the number of series of a
//! layer, and when to use recording rules, see the [cardinality guide](tower_prometheus::_guide::cardinality).

#![forbid(unsafe_code)]
#![warn(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable
)]

// Sorted by dependency: a module uses only modules above it in this list.
mod error;
mod severity;
mod text;
mod yaml;

mod definitions;
mod native_scrapes;
mod pattern;
mod selector;
mod template;

mod histogram;

mod expression;
mod query;

mod custom_content;
mod grafana;
mod panel;

mod dashboard;
mod rules;
mod scrape_config;
mod slo;

mod mixin;
mod presets;

pub use self::{
    dashboard::Dashboard,
    definitions::Definitions,
    error::Error,
    mixin::Mixin,
    panel::{Panel, PanelUnit, Row},
    query::Query,
    rules::{Rule, RuleGroup, Rules},
    scrape_config::{ScrapeConfig, ScrapeJob},
    severity::Severity,
    slo::Slo,
};

/// Runs the README's code blocks as doc tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
