//! [`Closure`]: a function of the application that can be compared.

use std::any::TypeId;
use std::sync::Arc;

/// A function of the application.
///
/// Two closures are the same if they are clones of one, or if both have the same type and capture nothing. So layers
/// that are built again from the same lines of code share their series, unless a closure captures a value.
pub(crate) struct Closure<F: ?Sized> {
    function: Arc<F>,
    /// The type of a function that captures nothing.
    stateless: Option<TypeId>,
}

impl<F: ?Sized> Closure<F> {
    /// Wraps `function`, which was made from a function of type `T` and adds no state to it.
    pub(crate) fn of<T: 'static>(function: Arc<F>) -> Self {
        Self {
            function,
            stateless: (size_of::<T>() == 0).then(TypeId::of::<T>),
        }
    }

    #[inline]
    pub(crate) fn get(&self) -> &F {
        &self.function
    }
}

impl<F: ?Sized> Clone for Closure<F> {
    fn clone(&self) -> Self {
        Self {
            function: Arc::clone(&self.function),
            stateless: self.stateless,
        }
    }
}

impl<F: ?Sized> PartialEq for Closure<F> {
    fn eq(&self, other: &Self) -> bool {
        let same_type = self.stateless.is_some() && self.stateless == other.stateless;
        same_type || Arc::ptr_eq(&self.function, &other.function)
    }
}
