//! The gRPC layers by direct calls of services, also with responses that tonic never sends. With tonic:
//! `tests/integration/tests/grpc`.

mod codes;
mod configuration;
mod expiry;
mod labels;
mod methods;
mod naming;
mod sizes;
