//! [`ClassifyError`]: whether and how a layer tells errors of the inner service apart.

use crate::http::labels::error_kind::ErrorKind;

/// How a layer tells errors of the inner service apart. Implemented by [`NoErrorKind`] and [`ErrorKindFn`].
pub trait ClassifyError<E>: sealed::Sealed {
    /// Returns the kind of an error; `None` if the layer does not record it.
    fn kind(&self, error: &E) -> Option<ErrorKind>;
}

/// The default of a layer: the inner service's error is not inspected and can be of any type.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoErrorKind;

/// A function that returns the [`ErrorKind`] of an error; see
/// [`HttpMetrics::with_error_kind`](crate::HttpMetrics::with_error_kind).
#[derive(Clone, Copy)]
pub struct ErrorKindFn<F>(pub(crate) F);

impl<E> ClassifyError<E> for NoErrorKind {
    #[inline]
    fn kind(&self, _: &E) -> Option<ErrorKind> {
        None
    }
}

impl<E, F: Fn(&E) -> ErrorKind> ClassifyError<E> for ErrorKindFn<F> {
    fn kind(&self, error: &E) -> Option<ErrorKind> {
        Some((self.0)(error))
    }
}

impl<F> std::fmt::Debug for ErrorKindFn<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ErrorKindFn")
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::NoErrorKind {}
    impl<F> Sealed for super::ErrorKindFn<F> {}
}
