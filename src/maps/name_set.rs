//! [`NameSet`]: a set of names with a limit.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::maps::MAX_NAME_LEN;
use crate::maps::tree::{Keyed, Tree};
use crate::sync::lock;

/// The first `cap` names added. Unlike a [`Table`](super::table::Table), it starts small.
pub(crate) struct NameSet {
    names: Tree<Name>,
    cap: usize,
    len: AtomicUsize,
    /// Held while a name is added.
    adding: Mutex<()>,
}

struct Name([Box<str>; 1]);

impl Keyed for Name {
    fn key(&self) -> &[Box<str>] {
        &self.0
    }
}

impl NameSet {
    pub(crate) fn new(cap: usize) -> Self {
        Self {
            names: Tree::default(),
            cap,
            len: AtomicUsize::new(0),
            adding: Mutex::new(()),
        }
    }

    /// Whether the name is in the set. It is added if the set is not full and the name not longer than
    /// [`MAX_NAME_LEN`].
    pub(crate) fn admit(&self, name: &str) -> bool {
        if self.has(name) {
            return true;
        }
        if self.is_full() || name.len() > MAX_NAME_LEN {
            return false;
        }
        let _adding = lock(&self.adding);
        if self.has(name) {
            return true;
        }
        if self.is_full() {
            return false;
        }
        self.names.get_or_insert(&[name], || Name([name.into()]));
        self.len.fetch_add(1, Ordering::Release);
        true
    }

    fn has(&self, name: &str) -> bool {
        self.names.get(&[name]).is_some()
    }

    fn is_full(&self) -> bool {
        self.len.load(Ordering::Acquire) >= self.cap
    }
}
