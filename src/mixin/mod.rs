//! Dashboards, rules and scrape configurations from the definitions that record.

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
