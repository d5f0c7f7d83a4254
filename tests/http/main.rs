//! The layer and the page over HTTP: direct calls, and real sockets of both protocols.

#[path = "../support/mod.rs"]
mod support;

mod bounds;
mod cardinality;
mod configuration;
mod ends;
mod ends_over_sockets;
mod hostile;
mod long_lived;
mod mistakes_of_others;
mod mounts;
mod negotiation;
mod order;
mod page;
mod routes;
mod scrapes;
