//! Grafana dashboards, Prometheus rules and scrape configurations, generated from the metric definitions of
//! [`tower_prometheus`].
//!
//! A dashboard written by hand breaks silently: a renamed label leaves an empty panel, which goes unnoticed until
//! it is needed. This crate generates dashboards and rules from the configuration that creates the layer and from
//! the catalogue that the application records into. Every metric, label and label value of a query is looked up
//! while the file is generated. One that does not exist is an error, and the error names the alternatives.
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
//! # let directory = std::env::temp_dir().join(format!("tower-prometheus-mixin-{}", std::process::id()));
//! # let deploy = |to: &str| directory.join(to);
//! mixin()?.write_to(deploy("monitoring"))?;
//! # std::fs::remove_dir_all(directory).unwrap();
//! # Ok::<(), Error>(())
//! ```
//!
//! Keep the generated files in the repository, with a test that generates them again and compares. A renamed label
//! then changes the dashboard in the same review.
//!
//! # What is generated
//!
//! | item | generates |
//! |---|---|
//! | [`Dashboard::http`], [`Dashboard::grpc`] | request rate, errors and durations of a layer, under its own names |
//! | [`Dashboard::process`] | process, tokio runtime and collectors |
//! | [`Dashboard::of_families`] | one panel or two for each metric family of any catalogue |
//! | [`Dashboard::new`] | a custom dashboard of [`Row`]s, [`Panel`]s and [`Query`]s |
//! | [`RuleGroup::http`], [`RuleGroup::grpc`] | recording rules of a layer |
//! | [`RuleGroup::health`] | alerts: a scrape fails, a label overflows, a collector fails |
//! | [`Slo`] | recording rules and four burn-rate alerts of a service level objective |
//! | [`RuleGroup::new`] | custom [`Rule`]s |
//! | [`ScrapeConfig`] | the configuration of Prometheus and of vmagent |
//! | [`Mixin`] | all of them, as files in a directory |
//!
//! # What is checked
//!
//! | | |
//! |---|---|
//! | metric families, labels, values of labels with a fixed set of values | are defined |
//! | what is queried of a family | exists for its kind: the rate of a counter, the value of a gauge, a quantile of a histogram |
//! | operands of an operator | have the same labels, so that their series match |
//! | the threshold of a quantile | can be reached: a quantile never exceeds the last finite bucket bound |
//! | the bound of a latency objective | is a bucket bound; between bounds, Prometheus only estimates |
//! | legends, and `{{ $labels.… }}` in texts | use labels that the query keeps |
//! | panels | have a title, a unit, a description and a query |
//! | alerts | have a severity, a summary and a description, and differ in name or labels |
//!
//! Dashboards use the JSON model of Grafana 10. Every query uses the variables `job` and `instance`. Rates use
//! `$__rate_interval` unless [`Query::over`] sets another range.
//!
//! Queries to run by hand are in the [PromQL guide](tower_prometheus::_guide::promql). How many series a layer has,
//! and when recording rules pay off, is in the [cardinality guide](tower_prometheus::_guide::cardinality).

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

// From low to high: a file uses only files above it in this list.
mod error;
mod severity;
mod text;
mod yaml;

mod definitions;
mod selector;

mod expression;
mod query;

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

/// The code of the README, compiled and run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
