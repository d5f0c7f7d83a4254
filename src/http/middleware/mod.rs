//! The path of a request, from `call` to the end of the response body.
//!
//! Reading order: [`layer`] builds, [`service`] starts an [`exchange`] that is [`in_flight`], [`future`]
//! polls for the response, [`head`] reads its head, [`body`] detects its end, and [`outcome`] is what all of
//! them report, once.

pub(crate) mod body;
pub(crate) mod exchange;
pub(crate) mod future;
pub(crate) mod head;
pub(crate) mod in_flight;
pub(crate) mod layer;
pub(crate) mod long_lived;
pub(crate) mod nesting;
pub(crate) mod outcome;
pub(crate) mod request_body;
pub(crate) mod service;
