//! Label values (method, endpoint, status, abort reason) and the request and response heads they are read
//! from.

pub(crate) mod abort_reason;
pub(crate) mod endpoint;
pub(crate) mod error_kind;
pub(crate) mod head;
pub(crate) mod method;
pub(crate) mod outcome;
pub(crate) mod request_end;
pub(crate) mod skip_metrics;
pub(crate) mod status;
mod trace;
