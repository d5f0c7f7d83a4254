//! Hooks that run when a global recorder is installed.
//!
//! Catalogues use them if they are used before a recorder is installed.

use std::sync::Mutex;

use crate::sync::lock;

/// Code to run when a global recorder is installed.
pub(crate) trait InstallHook: Sync {
    fn recorder_installed(&self);
}

static HOOKS: Mutex<Vec<&'static dyn InstallHook>> = Mutex::new(Vec::new());

/// Runs `hook` once, at the next call of [`recorder_installed`].
pub(crate) fn on_install(hook: &'static dyn InstallHook) {
    lock(&HOOKS).push(hook);
}

/// Runs the registered hooks. Called when a registry is installed. Recorders of other crates do not call it,
/// so code that finds such a recorder installed calls it as well.
pub(crate) fn recorder_installed() {
    // Outside the lock: a hook may record metrics and thereby register another hook.
    let hooks = std::mem::take(&mut *lock(&HOOKS));
    for hook in hooks {
        hook.recorder_installed();
    }
}
