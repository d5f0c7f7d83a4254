//! Runs the examples of the documentation that use crates which the core and the live page do not depend on.

#[doc = include_str!("../../../src/grpc/tonic_client.md")]
#[doc = include_str!("../../../src/grpc/tonic_server.md")]
#[doc = include_str!("../../../crates/live/src/tonic.md")]
#[doc = include_str!("../../../docs/guide/layer_order.md")]
#[doc = include_str!("../../../docs/guide/migration.md")]
#[doc = include_str!("../../../src/http/middleware/long_lived_axum.md")]
#[cfg(doctest)]
struct Documentation;
