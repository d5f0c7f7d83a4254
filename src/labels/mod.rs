//! What a series is called: methods, endpoints, status words, labels of one's own, and the names of
//! families.

mod endpoint;
mod endpoint_source;
mod family;
mod head;
mod method;
mod naming;
mod own;
pub(crate) mod standard;
mod status;
mod trace;

pub use self::{
    endpoint::{Endpoint, EndpointFuture, EndpointLayer, EndpointService},
    family::Family,
    head::{RequestHead, ResponseHead},
    naming::Naming,
    own::Label,
    trace::TraceId,
};
pub(crate) use self::{
    endpoint::{OVERFLOW, UNMATCHED, endpoint_of_request},
    endpoint_source::{EndpointSource, Patterns},
    method::Method,
    own::{On, Values},
    status::Status,
};
