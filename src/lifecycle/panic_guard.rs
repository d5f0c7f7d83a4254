//! [`PanicGuard`]: reports panics of the code that runs while it exists.

/// A value that a [`PanicGuard`] notifies of a panic.
pub(crate) trait OnPanic {
    fn on_panic(&mut self);
}

/// Panic guard: calls [`OnPanic::on_panic`] when it is dropped without being defused. The panic propagates.
///
/// It is a guard and not a function that takes a closure, because the latter would move the value that the code
/// returns.
pub(crate) struct PanicGuard<'a, T: OnPanic>(&'a mut T);

impl<'a, T: OnPanic> PanicGuard<'a, T> {
    #[inline]
    pub(crate) fn new(value: &'a mut T) -> Self {
        Self(value)
    }

    /// The value to notify, which the guard borrows.
    pub(crate) fn value(&mut self) -> &mut T {
        self.0
    }

    /// Disarms the guard, after the code has returned.
    #[inline]
    pub(crate) fn defuse(self) {
        std::mem::forget(self);
    }
}

impl<T: OnPanic> Drop for PanicGuard<'_, T> {
    #[cold]
    fn drop(&mut self) {
        self.0.on_panic();
    }
}
