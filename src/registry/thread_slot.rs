//! Thread slots: small numbers that select the shard of a thread. Each slot belongs to at most one running
//! thread, and is reused after the thread ends.

use std::cell::Cell;
use std::collections::BTreeSet;

use crate::sync::lock;
use crate::sync::{Mutex, per_thread};

/// The number of threads that can own a shard at the same time. Further threads use the shared shard, with
/// atomic read-modify-write operations.
pub(crate) const MAX_SLOTS: usize = if cfg!(loom) { 2 } else { 128 };

/// The thread has not requested a slot yet.
const UNASSIGNED: usize = usize::MAX;
/// The thread uses the shared shard: all slots are taken, or the thread is ending.
const SHARED: usize = usize::MAX - 1;

per_thread! {
    /// The slot of the thread. Without a destructor, so that it can be read while the thread ends.
    static SLOT: Cell<usize> = const { Cell::new(UNASSIGNED) };
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
        UNASSIGNED => assign(),
        _ => None,
    }
}

#[cold]
fn assign() -> Option<usize> {
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
        // From now on, the thread records into the shared shard.
        let _ = SLOT.try_with(|slot| slot.set(SHARED));
        release(self.slot);
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
    let (returned, next_new) = &mut *free;
    if let Some(slot) = returned.pop_first() {
        return Some(slot);
    }
    (*next_new < MAX_SLOTS).then(|| {
        *next_new += 1;
        *next_new - 1
    })
}

fn release(slot: usize) {
    let mut free = lock(&FREE);
    free.0.insert(slot);
}

/// Returns the number of assigned slots. It is 0 at the end of a loom model.
#[cfg(loom)]
pub(crate) fn assigned() -> usize {
    let (returned, next_new) = &*lock(&FREE);
    next_new - returned.len()
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
