//! The gRPC layers around a real tonic server and client, over sockets, and around services that
//! answer as tonic never would.

mod shop;

mod bounds;
mod calls;
mod clients;
mod codes;
mod configuration;
mod methods;
