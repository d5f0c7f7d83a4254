//! The query proxy against a store that does as it is told, and against real ones.

#![cfg(all(feature = "query", feature = "tls"))]

mod configuration;
mod endpoints;
mod limits;
mod measured;
mod real_stores;
mod secrets;
mod store;
mod tenants;
mod tls;
