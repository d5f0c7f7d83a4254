//! [`Watch`]: notices that code which it looks on panics.

/// What ends by the panic of code that runs inside it.
pub(crate) trait Watched {
    fn panicked(&mut self);
}

/// Looks on while someone else's code runs: unless it is told that the code has returned, the code
/// panicked, which is how what is watched ended. The panic goes on.
///
/// Not a closure around the code, which would move what the code returns.
pub(crate) struct Watch<'a, W: Watched>(&'a mut W);

impl<'a, W: Watched> Watch<'a, W> {
    #[inline]
    pub(crate) fn over(watched: &'a mut W) -> Self {
        Self(watched)
    }

    /// What is watched, in between.
    pub(crate) fn watched(&mut self) -> &mut W {
        self.0
    }

    #[inline]
    pub(crate) fn returned(self) {
        std::mem::forget(self);
    }
}

impl<W: Watched> Drop for Watch<'_, W> {
    #[cold]
    fn drop(&mut self) {
        self.0.panicked();
    }
}
