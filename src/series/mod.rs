//! The read-mostly table from (method, endpoint) to ready handles.
//!
//! A layer's table is leaked once: requests borrow from it for as long as they like, and no reference
//! count is shared between cores. What it holds is bounded by the layer's cap on endpoints.

mod http;
mod slots;
mod table;

use self::slots::Slots;
pub(crate) use self::{
    http::{Found, HttpSeries, MethodSeries},
    table::Table,
};
