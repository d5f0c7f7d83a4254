//! The path of a request, from `call` to the end of the response body.
//!
//! In the order of a request:
//!
//! | module | |
//! |---|---|
//! | [`layer`] | builds the layer |
//! | [`service`] | starts an [`exchange`], which is [`in_flight`] until it ends, then calls the inner service |
//! | [`nesting`], [`inside`] | detect a layer that is applied twice |
//! | [`request_body`] | measures the body of the request, in layers built with `with_request_body` |
//! | [`future`] | polls the inner service for the response |
//! | [`head`] | reads the response head; [`long_lived`] decides whether the exchange ends there |
//! | [`body`] | reports the end of the response body, which `lifecycle::body` detects |
//! | [`outcome`] | lists how requests end; the first of these modules that detects the end reports it |
//!
//! Panics are reported by the guard of `lifecycle::panic_guard`, around each call of inner code.

pub(crate) mod body;
mod body_progress;
mod exchange;
pub(crate) mod future;
mod head;
mod in_flight;
mod inside;
pub(crate) mod layer;
pub(crate) mod long_lived;
mod nesting;
mod outcome;
pub(crate) mod request_body;
pub(crate) mod service;
