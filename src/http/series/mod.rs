//! The read-mostly table from endpoint, method and labels to ready cells and handles.
//!
//! A layer's table is leaked once: requests borrow from it for as long as they like, and no reference
//! count is shared between cores. What it holds is bounded by the layer's caps.

pub(crate) mod completion;
pub(crate) mod endpoint;
pub(crate) mod http;
pub(crate) mod label_values;
pub(crate) mod request;
