//! The read-mostly table from endpoint, method and labels to ready cells and handles.
//!
//! A layer's table is leaked once: requests borrow from it for as long as they like, and no reference
//! count is shared between cores. What it holds is bounded by the layer's caps.

mod ended;
mod endpoint;
mod http;
mod overflow;
mod request;
mod slots;
mod table;
mod values;

use self::values::LabelValues;
pub(crate) use self::{
    ended::Measured,
    endpoint::EndpointSeries,
    http::HttpSeries,
    overflow::{Overflow, overflow_spec},
    request::RequestSeries,
    slots::{SlotKey, Slots},
    table::Table,
    values::{LabelIds, MAX_LABELS},
};
