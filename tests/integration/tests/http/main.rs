//! The HTTP layer and the metrics page: sockets over HTTP/1 and HTTP/2, random input, other layers.

mod clients;
mod endpoint_sources;
mod ends_over_sockets;
mod error_kinds;
mod event_streams;
mod hostile;
mod hosts;
mod known_bugs_of_other_crates;
mod layer_order;
mod long_lived;
mod mcp;
mod mounts;
mod negotiation;
mod page;
mod pages_of_options;
mod retries;
mod scrapes;
mod sizes;
mod uploads;
mod websockets;
