//! Dashboards, alert rules and scrape configurations, made from the definitions that record.
//!
//! A dashboard written by hand goes dead when somebody renames a label, and nobody notices until it is
//! needed. Here it is made from the same configuration that the layer is made of, and from the same
//! catalogue that call sites record into. What it asks for is looked up while it is made: a family, a label or a value
//! that is no more is an error that says what there is instead.
//!
//! ```
//! use tower_prometheus::mixin::{
//!     Dashboard, Mixin, Panel, PanelUnit, Query, Rule, RuleGroup, Rules, ScrapeConfig, ScrapeJob, Severity, Slo,
//! };
//! use tower_prometheus::{Error, HttpMetrics};
//!
//! /// What the service makes its layer of.
//! fn http() -> HttpMetrics {
//!     HttpMetrics::server().prefix("shop")
//! }
//!
//! fn mixin() -> Result<Mixin, Error> {
//!     let (http, families) = (http(), http().families()?);
//!     let checkout = Query::rate("shop_http_requests_total").with("endpoint", "/checkout");
//!     let rules = Rules::new(&families)
//!         .job("shop")
//!         .group(RuleGroup::http("http", &http)?)
//!         .group(Slo::http_availability("http", 0.999, &http)?.group()?)
//!         .group(Slo::http_latency("http_fast", 0.99, 0.25, &http)?.group()?)
//!         .group(RuleGroup::health("health", &families))
//!         .group(
//!             RuleGroup::new("shop").rule(
//!                 Rule::alert("NobodyBuys", checkout.clone().total().below(0.01))
//!                     .lasting("15m")
//!                     .severity(Severity::Warning)
//!                     .summary("Hardly anybody checks out")
//!                     .description("Look whether the page of the basket works."),
//!             ),
//!         );
//!     let sales = Dashboard::new("shop-sales", "Shop: sales", &families).panel(
//!         Panel::time_series("Checkouts", PanelUnit::RequestsPerSecond)
//!             .description("Checkouts a second, by how they ended. Many 402: the bank refuses.")
//!             .query(checkout.by(["status"])),
//!     );
//!     Ok(Mixin::new()
//!         .dashboard(Dashboard::http("shop-http", "Shop: HTTP", &http)?)
//!         .dashboard(sales)
//!         .rules("shop", rules)
//!         .scrape_config(ScrapeConfig::new().job(ScrapeJob::new("shop").target("shop:8080"))))
//! }
//!
//! # let directory = std::env::temp_dir().join(format!("tower-prometheus-{}", std::process::id()));
//! # let deploy = |to: &str| directory.join(to);
//! mixin()?.write_to(deploy("monitoring"))?;
//! # std::fs::remove_dir_all(directory).unwrap();
//! # Ok::<(), tower_prometheus::Error>(())
//! ```
//!
//! Keep the files in the repository, and a test beside them that makes them again and compares: then a change of a label is
//! a change of the dashboard, in the same review.
//!
//! # What there is
//!
//! | | makes |
//! |---|---|
//! | [`Dashboard::http`], [`Dashboard::grpc`] | rate, errors and durations of a layer, whatever its names |
//! | [`Dashboard::process`] | processors, memory, files, the runtime, the collectors |
//! | [`Dashboard::of_families`] | a panel for each family of any catalogue |
//! | [`Dashboard::new`] | one of your own, of [`Row`]s, [`Panel`]s and [`Query`]s |
//! | [`RuleGroup::http`], [`RuleGroup::grpc`] | recordings of a layer |
//! | [`RuleGroup::health`] | alerts: a scrape fails, a label overflows, a collector fails |
//! | [`Slo`] | an objective's recordings and its four burn-rate alerts |
//! | [`RuleGroup::new`] | [`Rule`]s of your own |
//! | [`ScrapeConfig`] | the file for Prometheus, and for vmagent |
//! | [`Mixin`] | all of them as files |
//!
//! # What is checked when they are made
//!
//! | | |
//! |---|---|
//! | families, labels, values of closed labels | are defined; the error names the nearest |
//! | what a family is asked | its kind has: a counter its rate, a gauge its value, a histogram its quantiles |
//! | two sides of an operator | have the same labels, or no series would find its partner |
//! | a quantile's threshold | can be reached: a quantile never exceeds the last finite bound |
//! | an objective's latency | is a bucket's bound, or the share within it would be a guess |
//! | legends, and `{{ $labels.… }}` in texts | name labels that are left |
//! | panels | have a title, a unit, a description and a query |
//! | alerts | have a severity, a summary and a description, and no two write the same series |
//!
//! Dashboards are of the model of Grafana 10. Every query heeds the variables `job` and `instance`, and rates are over
//! `$__rate_interval` unless [`Query::over`] says otherwise.
//!
//! Queries to ask by hand are in the [cookbook](crate::cookbook); how many series it all costs, and
//! when to record, in [budgets](crate::budgets).

mod catalogue;
mod dashboard;
mod definitions;
mod expression;
mod files;
mod grafana;
mod grpc;
mod http;
mod panel;
mod process;
mod query;
mod rules;
mod scrape_config;
mod selector;
mod slo;
mod yaml;

pub use self::{
    dashboard::Dashboard,
    definitions::Definitions,
    files::Mixin,
    panel::{Panel, PanelUnit, Row, Severity},
    query::Query,
    rules::{Rule, RuleGroup, Rules},
    scrape_config::{ScrapeConfig, ScrapeJob},
    slo::Slo,
};
