//! The gRPC layers around a real tonic server and client, over sockets.

mod shop;

mod bounds;
mod calls;
mod clients;
mod methods;
