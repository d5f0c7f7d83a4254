//! Collectors: metrics gathered at scrape time. Over sockets: `tests/integration/tests/collect`.

mod collectors;
mod deadlines;
mod names;
mod page_source;
mod ready_made;
mod remove;
mod sharing;
