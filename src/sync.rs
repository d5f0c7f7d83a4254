//! Synchronization primitives of the lock-free code: those of std, or under `cfg(loom)` those of loom.
//!
//! `tests/loom` compiles the files that use this module separately, and tests all interleavings of threads that
//! the memory model allows.

#[cfg(not(loom))]
pub(crate) use crate::sync::standard::{
    Arc, AtomicU64, AtomicUsize, Mutex, MutexGuard, OnceLock, per_thread, zeroed_cells,
};
#[cfg(loom)]
pub(crate) use crate::sync::under_loom::{
    Arc, AtomicU64, AtomicUsize, Mutex, MutexGuard, OnceLock, per_thread, zeroed_cells,
};

use std::sync::PoisonError;

/// Locks a mutex and ignores poisoning, so that a panic elsewhere cannot make recording or scraping fail.
/// The data must be consistent after every statement.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(not(loom))]
mod standard {
    pub(crate) use std::sync::atomic::{AtomicU64, AtomicUsize};
    pub(crate) use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
    pub(crate) use std::thread_local as per_thread;

    /// Allocates zeroed cells. The operating system zeroes each page when it is first accessed, so the first
    /// write to a large block costs no more than to a small one.
    pub(crate) fn zeroed_cells(len: usize) -> Box<[AtomicU64]> {
        bytemuck::zeroed_slice_box(len)
    }
}

#[cfg(loom)]
mod under_loom {
    use std::sync::atomic::Ordering;

    use loom::sync::atomic::AtomicBool;
    pub(crate) use loom::sync::atomic::{AtomicU64, AtomicUsize};
    pub(crate) use loom::sync::{Arc, Mutex, MutexGuard};

    /// Like loom's `thread_local!`, but accepts the `const` blocks of std.
    macro_rules! per_thread {
        ($($(#[$about:meta])* static $name:ident: $kind:ty = const $init:block;)*) => {
            $(loom::thread_local! { $(#[$about])* static $name: $kind = $init; })*
        };
    }
    pub(crate) use per_thread;

    pub(crate) fn zeroed_cells(len: usize) -> Box<[AtomicU64]> {
        std::iter::repeat_with(AtomicU64::default)
            .take(len)
            .collect()
    }

    /// Like std's `OnceLock`, with the same orderings, which loom does not provide. Std's `OnceLock` stores the
    /// value; the flag of loom models when other threads can see it.
    #[derive(Debug, Default)]
    pub(crate) struct OnceLock<T> {
        value: std::sync::OnceLock<T>,
        is_set: AtomicBool,
        setting: Mutex<()>,
    }

    impl<T> OnceLock<T> {
        pub(crate) fn new() -> Self {
            Self {
                value: std::sync::OnceLock::new(),
                is_set: AtomicBool::new(false),
                setting: Mutex::new(()),
            }
        }

        pub(crate) fn get(&self) -> Option<&T> {
            match self.is_set.load(Ordering::Acquire) {
                true => self.value.get(),
                false => None,
            }
        }

        pub(crate) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
            if let Some(value) = self.get() {
                return value;
            }
            let _setting = super::lock(&self.setting);
            let value = self.value.get_or_init(make);
            self.is_set.store(true, Ordering::Release);
            value
        }
    }
}
