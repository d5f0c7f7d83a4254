//! The series of an HTTP layer: a read-mostly table from endpoint, method and labels to cells and handles.
//!
//! The table of a layer is leaked, so that requests can borrow from it for any time and cores share no
//! reference count. The limits of the layer bound its size.
//!
//! If the registry has an idle timeout, requests with open label values have series in a [`row`] instead, which is freed
//! after they have expired.

pub(crate) mod completion;
pub(crate) mod connection;
mod counted;
pub(crate) mod custom_labels;
pub(crate) mod custom_values;
pub(crate) mod endpoint;
pub(crate) mod label_values;
pub(crate) mod layer;
mod needs;
mod registration;
pub(crate) mod request;
pub(crate) mod row;
pub(crate) mod series_ref;
mod warnings;
