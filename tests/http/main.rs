//! The layer and the page over HTTP: direct calls, and real sockets of both protocols.

mod again;
mod bounds;
mod cardinality;
mod clients;
mod configuration;
mod edges;
mod endpoint_sources;
mod ends;
mod ends_over_sockets;
mod exemplars;
mod hostile;
mod labels;
mod long_lived;
mod mistakes_of_others;
mod mounts;
mod namings;
mod negotiation;
mod order;
mod page;
mod routes;
mod scrapes;
mod sizes;
