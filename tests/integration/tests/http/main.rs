//! The HTTP layer and the metrics page: sockets over HTTP/1 and HTTP/2, random input, other layers.

mod clients;
mod endpoint_sources;
mod ends_over_sockets;
mod hostile;
mod known_bugs_of_other_crates;
mod layer_order;
mod long_lived;
mod mounts;
mod negotiation;
mod page;
mod scrapes;
mod sizes;
