//! Collectors: metrics gathered at scrape time. Over sockets: `tests/integration/tests/pull`.

mod collectors;
mod deadlines;
mod names;
mod ready_made;
mod sharing;
