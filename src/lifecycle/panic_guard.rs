//! [`PanicGuard`]: reports a panic of the code that runs while the guard exists.

/// What is told about a panic.
pub(crate) trait OnPanic {
    fn on_panic(&mut self);
}

/// Panic guard: calls [`OnPanic::on_panic`] when it is dropped by unwinding, unless it was defused. The
/// panic propagates.
///
/// A guard rather than a closure around the code: a closure would move the value that the code returns.
pub(crate) struct PanicGuard<'a, T: OnPanic>(&'a mut T);

impl<'a, T: OnPanic> PanicGuard<'a, T> {
    #[inline]
    pub(crate) fn new(target: &'a mut T) -> Self {
        Self(target)
    }

    /// The target, while the guard is armed.
    pub(crate) fn target(&mut self) -> &mut T {
        self.0
    }

    /// The code has returned.
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
