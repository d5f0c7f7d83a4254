//! Thread slots: small numbers that select the shard of a thread. They are unique among running threads and
//! reused after a thread ends.

use std::cell::Cell;
use std::collections::BTreeSet;

use crate::sync::lock;
use crate::sync::{Mutex, per_thread};

/// The number of threads that can own a shard at the same time. Further threads use the shared shard, with
/// atomic read-modify-write operations.
pub(crate) const MAX_SLOTS: usize = if cfg!(loom) { 2 } else { 128 };

const UNASKED: usize = usize::MAX;
const SHARED: usize = usize::MAX - 1;

per_thread! {
    /// Has no destructor, so that it can be read while the thread ends.
    static SLOT: Cell<usize> = const { Cell::new(UNASKED) };
    /// Returns the slot when the thread ends.
    static LEASE: Cell<Option<Lease>> = const { Cell::new(None) };
}

/// Returns the slot of the calling thread, assigning one on first use; `None` if all are taken.
///
/// Only this thread may write to the shard of that slot. The next owner of the slot sees all writes of this
/// one, because both take the lock of [`FREE`].
#[inline]
pub(crate) fn current() -> Option<usize> {
    match SLOT.try_with(Cell::get).unwrap_or(SHARED) {
        slot if slot < MAX_SLOTS => Some(slot),
        UNASKED => ask(),
        _ => None,
    }
}

#[cold]
fn ask() -> Option<usize> {
    let slot = take_lowest();
    let _ = SLOT.try_with(|own| own.set(slot.unwrap_or(SHARED)));
    let slot = slot?;
    // If the thread-locals are already destroyed, nothing would return the slot later. `try_with` then
    // drops the lease at once, which returns the slot.
    let lease = Lease { slot };
    let kept = LEASE.try_with(move |kept| kept.set(Some(lease)));
    kept.ok().map(|()| slot)
}

struct Lease {
    slot: usize,
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Whatever the thread records from here on goes to the shared shard.
        let _ = SLOT.try_with(|slot| slot.set(SHARED));
        give_back(self.slot);
    }
}

/// The returned slots, and the lowest slot that was never assigned.
#[cfg(not(loom))]
static FREE: Mutex<Free> = Mutex::new((BTreeSet::new(), 0));
#[cfg(loom)]
loom::lazy_static! {
    static ref FREE: Mutex<Free> = Mutex::new((BTreeSet::new(), 0));
}

type Free = (BTreeSet<usize>, usize);

fn take_lowest() -> Option<usize> {
    let mut free = lock(&FREE);
    let (returned, never_lent) = &mut *free;
    if let Some(slot) = returned.pop_first() {
        return Some(slot);
    }
    (*never_lent < MAX_SLOTS).then(|| {
        *never_lent += 1;
        *never_lent - 1
    })
}

fn give_back(slot: usize) {
    let mut free = lock(&FREE);
    free.0.insert(slot);
}

/// The number of assigned slots. It is 0 at the end of a loom model.
#[cfg(loom)]
pub(crate) fn lent() -> usize {
    let (returned, never_lent) = &*lock(&FREE);
    never_lent - returned.len()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::mpsc;

    #[test]
    fn destructors_that_run_after_the_lease_have_no_slot() {
        struct SendSlotOnDrop(mpsc::Sender<Option<usize>>);
        impl Drop for SendSlotOnDrop {
            fn drop(&mut self) {
                let _ = self.0.send(super::current());
            }
        }
        thread_local! {
            static FIRST: RefCell<Option<SendSlotOnDrop>> = const { RefCell::new(None) };
            static SECOND: RefCell<Option<SendSlotOnDrop>> = const { RefCell::new(None) };
        }
        let (sender, receiver) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            FIRST.set(Some(SendSlotOnDrop(sender.clone())));
            super::current();
            SECOND.set(Some(SendSlotOnDrop(sender)));
        });
        thread.join().unwrap();
        let slots: Vec<_> = receiver.iter().collect();
        assert_eq!(slots.len(), 2);
        // The lease is created between the two values, so one of them is dropped after it.
        assert!(slots.contains(&None), "{slots:?}");
    }
}
