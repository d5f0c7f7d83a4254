//! Where the metrics layer goes among others, and what each order counts.
//!
//! A service is an onion. The layer that is added last to an axum `Router`, or first to a `ServiceBuilder`,
//! is the outermost: a request passes it first, and its response last. The metrics layer counts what passes
//! it: what layers inside it answer is counted, what layers outside it answer is hidden from it.
//!
//! ```text
//!                    requests
//!                       |
//!       +---- hidden: load shed, auth -----+
//!       |               v                  |
//!       |  +------- CatchPanic ---------+  |      outside: a panic is `panicked`
//!       |  |            v               |  |
//!       |  |  +--- metrics layer ---+   |  |      counts what passes here
//!       |  |  |         v           |   |  |
//!       |  |  |   TimeoutLayer      |   |  |      inside: a timeout is its code, 408
//!       |  |  |   CompressionLayer  |   |  |      inside or outside: the same count
//!       |  |  |   limits, shedding  |   |  |      inside: 503, or `error`
//!       |  |  |         v           |   |  |
//!       |  |  |  routes, fallback   |   |  |
//!       |  |  +---------------------+   |  |
//!       |  +----------------------------+  |
//!       +----------------------------------+
//!                       |
//!                   responses
//! ```
//!
//! An order that is right for most services: metrics outside of all that answers on behalf of a handler,
//! inside of nothing but a layer that catches panics.
//!
// Compiled in `tests/integration`, which depends on tower-http.
#![cfg_attr(not(doctest), doc = include_str!("order_example.md"))]
//!
//! Whatever the order, the sums hold: each request that reaches the metrics layer is counted once, and what
//! is in progress returns to 0.
//!
//! # Timeouts
//!
//! | layer | inside the metrics layer | outside of it |
//! |---|---|---|
//! | tower's `TimeoutLayer` | `error` | `cancelled` |
//! | tower-http's `TimeoutLayer` | its code: what the client saw | `cancelled`, whatever the client saw |
//! | tower-http's `ResponseBodyTimeoutLayer` | the handler's code, and an aborted body, `error` | the same, `dropped` |
//!
//! # Panics
//!
//! | layer | inside | outside |
//! |---|---|---|
//! | tower-http's `CatchPanicLayer` | 500 | `panicked`; the client sees the 500 as well |
//!
//! Outside tells a panic from a 500 that a handler chose. A panic while a body is sent is caught by neither: it
//! is an aborted body, `panicked`.
//!
//! # Compression
//!
//! tower-http's `CompressionLayer` can be on either side: one request, one complete body, and an aborted
//! one, `dropped`, when the client leaves. A scrape that is compressed on its way is not measured either.
//!
//! # Limits and load shedding
//!
//! | what | inside, in a `Router` | inside, in the same `ServiceBuilder` | outside |
//! |---|---|---|---|
//! | waiting for tower's `ConcurrencyLimitLayer` | in progress, and part of the duration | not seen | not seen |
//! | what tower's `LoadShedLayer` refuses | its code, from the `HandleErrorLayer` that axum asks for | `error` | hidden |
//!
//! A limit lets its caller wait in `poll_ready`, before there is a request to measure. A `Router` becomes ready at once
//! and waits with the request in hand. So where the wait should be seen, add the limit and the metrics layer
//! to the router one by one, not in one `ServiceBuilder`.
//!
//! # Routes and fallbacks
//!
//! | the metrics layer is added by | a route that matched | 405 | no route: 404 or a fallback |
//! |---|---|---|---|
//! | `Router::layer` | its template | its template | `unmatched`, with the answer's code |
//! | `Router::route_layer` | its template | its template | not seen |
//! | `route_layer` of one route | its template | not seen | not seen |
//!
//! Routes and fallbacks that are added after `layer` are not measured. What a layer inside answers on
//! behalf of a route (a 401) has the route's template; what a layer outside answers is hidden.
//!
//! # A layer around the whole router
//!
//! Around a `Router`, rather than on it, axum tells no route: all is `unmatched`, until an
//! [`EndpointLayer`](crate::EndpointLayer) is added to the router. Add it last: it names the answers of the layers inside it,
//! and not those of layers further out. Outside of the metrics layer it does nothing.
//!
//! # One layer twice
//!
//! The layer of one registry twice around the same route counts each request twice, and has two in progress:
//! on a nested router and on the one around it, for example. Layers of two registries count once each.
