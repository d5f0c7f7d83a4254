//! The gRPC layers around services that answer in every way there is, as tonic never would. With tonic:
//! `tests/integration/tests/grpc`.

mod codes;
mod configuration;
mod methods;
