//! Collectors and the metrics server over sockets.

mod collectors;
mod deadlines;
mod kinds;
mod server;
