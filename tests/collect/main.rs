//! Collectors: metrics gathered at scrape time. Over sockets: `tests/integration/tests/collect`.

mod built_in;
mod collectors;
mod deadlines;
mod kinds;
mod limits;
mod names;
mod page_source;
mod registries;
mod remove;
mod shared_metrics;
mod sharing;
