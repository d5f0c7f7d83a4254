//! Dashboards, rules and scrape configurations: right by their own checks, by promtool, by real servers,
//! and equal to the files of the repository.

#![expect(
    unreachable_pub,
    reason = "modules of a test; the compositions are the examples' own"
)]

mod cookbook;
mod dashboards;
mod families;
mod golden;
mod layers;
mod queries;
mod rules;
mod scrape_configs;
mod systems;
