//! Dashboards, rules and scrape configurations are checked by their own tests, by promtool and by real servers, and
//! equal the generated files in the repository. `tests/run` installs the programs.

mod cookbook;
mod dashboards;
mod families;
mod generated;
mod golden;
mod queries;
mod rules;
mod scrape_configs;
