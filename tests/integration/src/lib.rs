//! Runs the examples of the core's documentation that name crates which the core's own tests do without.

#[doc = include_str!("../../../src/grpc/tonic_client.md")]
#[doc = include_str!("../../../src/grpc/tonic_server.md")]
#[doc = include_str!("../../../docs/guide/layer_order.md")]
#[cfg(doctest)]
struct Documentation;
