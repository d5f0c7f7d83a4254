//! [`Inside`]: a guard for calls of the inner service.

use crate::http::middleware::exchange::HttpExchange;
use crate::http::middleware::nesting::InnerServiceScope;
use crate::lifecycle::panic_guard::PanicGuard;

/// A guard that exists while the inner service runs on this thread. If it is dropped without
/// [`leave`](Self::leave), the inner service panicked.
pub(crate) struct Inside<'a> {
    // Dropped first, so that the previous layer is restored before the exchange ends.
    scope: InnerServiceScope,
    guard: PanicGuard<'a, HttpExchange>,
}

impl<'a> Inside<'a> {
    #[inline]
    pub(crate) fn enter(exchange: &'a mut HttpExchange) -> Self {
        Self {
            scope: InnerServiceScope::enter(exchange.layer()),
            guard: PanicGuard::new(exchange),
        }
    }

    #[inline]
    pub(crate) fn leave(self) {
        drop(self.scope);
        self.guard.defuse();
    }
}
