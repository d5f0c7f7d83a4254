//! Tests of generated dashboards, rules and scrape configurations: their content, and that promtool and real servers
//! accept them. They must equal the generated files in the repository. `tests/run` installs the programs.

mod alerts;
mod cookbook;
mod custom_panels;
mod dashboards;
mod families;
mod generated;
mod golden;
mod native;
mod pushed;
mod queries;
mod rules;
mod scrape_configs;
mod simulated_day;
mod syntax;
