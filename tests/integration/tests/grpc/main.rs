//! The gRPC layers around a real tonic server and client, over sockets.

mod shop;

mod calls;
mod clients;
mod methods;
mod trait_bounds;
