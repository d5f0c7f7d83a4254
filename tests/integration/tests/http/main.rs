//! The layer and the metrics page over HTTP: real sockets of both protocols, random input, other layers.

mod clients;
mod endpoint_sources;
mod ends_over_sockets;
mod hostile;
mod known_bugs_of_other_crates;
mod long_lived;
mod mounts;
mod negotiation;
mod order;
mod page;
mod scrapes;
mod sizes;
