//! Hooks that run when a global recorder is found.
//!
//! A catalogue can be older than the global recorder: its call sites may run before anything is installed.

use std::sync::Mutex;

use crate::sync::lock;

/// Code to run once a global recorder is installed.
pub(crate) trait InstallHook: Sync {
    fn recorder_installed(&self);
}

static HOOKS: Mutex<Vec<&'static dyn InstallHook>> = Mutex::new(Vec::new());

/// Runs `hook` when a global recorder is found.
pub(crate) fn on_install(hook: &'static dyn InstallHook) {
    lock(&HOOKS).push(hook);
}

/// Runs the hooks. A registry calls it when it is installed. A recorder of another crate calls nothing, so
/// code that finds one calls this too.
pub(crate) fn recorder_installed() {
    // Not under the lock: a hook may record something, and so register another hook.
    let hooks = std::mem::take(&mut *lock(&HOOKS));
    for hook in hooks {
        hook.recorder_installed();
    }
}
