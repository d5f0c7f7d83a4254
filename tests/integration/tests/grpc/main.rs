//! The gRPC layers around a real tonic server and client, over sockets.

mod shop;

mod calls;
mod clients;
mod expiry;
mod method_names;
mod methods;
mod trait_bounds;
