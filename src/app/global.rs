//! Families of the global catalogue, which may be older than the global recorder.

use std::sync::Mutex;

use crate::sync::lock;
use crate::target::Target;

/// Where a catalogue records.
#[doc(hidden)]
#[derive(Debug)]
#[non_exhaustive]
pub enum Place<'a> {
    On(&'a Target),
    /// Into whatever recorder is installed, now or later.
    Global,
}

/// What waits for a global recorder.
pub(super) trait Global: Sync {
    fn recorder_installed(&self);
}

static WAITING: Mutex<Vec<&'static dyn Global>> = Mutex::new(Vec::new());

/// Lets a family know when a registry is installed.
pub(super) fn wait_for_recorder(family: &'static dyn Global) {
    lock(&WAITING).push(family);
}

/// To be called when a registry was installed: closed labels exist from then on.
pub(crate) fn recorder_installed() {
    let waiting = std::mem::take(&mut *lock(&WAITING));
    for family in waiting {
        family.recorder_installed();
    }
}
