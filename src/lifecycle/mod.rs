//! How an exchange of a request and a response ends: exactly once, by the same rules for HTTP and gRPC.
//!
//! | what happens | [`End`](end::End) | reported by |
//! |---|---|---|
//! | the body reaches its end of stream | `Complete` | [`ObservedBody`](body::ObservedBody) |
//! | no body follows the response head | `Complete` | the code that reads the head |
//! | the body returns an error | `Failed` | [`ObservedBody`](body::ObservedBody) |
//! | the future returns an error | `Failed`; of HTTP, `RequestEnd::Failed` with the kind of the error | the middleware's future |
//! | the future or the body is dropped earlier | `Dropped`; `Complete` if only optional trailers are missing | the destructor of the exchange |
//! | `call`, `poll` or `poll_frame` panics | `Panicked` | [`PanicGuard`](panic_guard::PanicGuard) |
//!
//! An exchange implements [`Exchange`](end::Exchange) and is moved from the future to the body.

pub(crate) mod body;
pub(crate) mod end;
pub(crate) mod on_drop;
pub(crate) mod panic_guard;
