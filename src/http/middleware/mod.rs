//! The path of a request, from `call` to the end of the response body.
//!
//! In the order of a request:
//!
//! | module | |
//! |---|---|
//! | [`layer`] | builds the layer |
//! | [`service`] | starts an [`exchange`], which is [`in_flight`] until it ends |
//! | [`future`] | polls the inner service for the response |
//! | [`head`] | reads the response head |
//! | [`body`] | detects the end of the response body |
//! | [`outcome`] | how the request ended, reported exactly once by any of these |

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
