//! The path of a request, from `call` to the end of the response body.
//!
//! In the order of a request:
//!
//! | module | |
//! |---|---|
//! | [`layer`] | builds the layer |
//! | [`service`] | starts an [`exchange`], which is [`in_flight`] until it ends, then calls the inner service |
//! | [`nesting`], [`inside`] | detect a layer that is applied twice |
//! | [`request_body`], [`body_progress`] | measure the body of the request, in layers built with `with_request_body` |
//! | [`future`] | polls the inner service for the response |
//! | [`head`] | reads the response head and decides whether the exchange ends there |
//! | [`long_lived`] | the mark of a long-lived connection, and the gauge of open ones |
//! | [`response_status`] | the status of the response, and how far its body is |
//! | [`body`] | the response body; `lifecycle::body` detects its end |
//! | [`request_end`](crate::http::labels::request_end) | how requests end; [`exchange`] derives it from the end of the response and its status; [`future`] and [`head`] set failed, long-lived and skipped requests |
//!
//! Panics of the inner service and of its body's `poll_frame` are reported by the guard of `lifecycle::panic_guard`. If
//! another function of the body panics, or a function of the application that reads the response head or the kind of an
//! error, the exchange ends as dropped; if one that reads the request panics, the exchange has not started. Panics of the
//! functions of outcome labels are caught.

pub(crate) mod body;
mod body_progress;
pub(crate) mod classify;
mod exchange;
#[cfg(test)]
mod expiry_tests;
pub(crate) mod future;
mod head;
mod in_flight;
mod inside;
pub(crate) mod layer;
pub(crate) mod long_lived;
mod nesting;
pub(crate) mod request_body;
mod response_status;
pub(crate) mod service;
