//! Collectors: metrics gathered at scrape time. Over sockets: `tests/integration/tests/pull`.

#![cfg(feature = "collect")]

mod collectors;
mod deadlines;
mod names;
#[cfg(feature = "push")]
mod push;
mod ready_made;
mod sharing;
