//! The layer and the metrics page over HTTP: real sockets of both protocols, random input, other layers.

mod clients;
mod endpoint_sources;
mod ends_over_sockets;
mod hostile;
mod long_lived;
mod mistakes_of_others;
mod mounts;
mod negotiation;
mod order;
mod page;
mod scrapes;
mod sizes;
