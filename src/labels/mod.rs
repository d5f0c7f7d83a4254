//! What a series is called: methods, endpoints, status words, and the names of families.

mod endpoint;
mod method;
mod naming;
mod status;

pub use self::{
    endpoint::{Endpoint, EndpointFuture, EndpointLayer, EndpointService},
    naming::Naming,
};
pub(crate) use self::{
    endpoint::{OVERFLOW, UNMATCHED, endpoint_of_request},
    method::Method,
    status::Status,
};
