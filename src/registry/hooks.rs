//! Hooks that run once a global recorder is installed.
//!
//! They are for catalogues whose call sites run before a recorder is installed.

use std::sync::Mutex;

use crate::sync::lock;

/// Code to run once a global recorder is installed.
pub(crate) trait InstallHook: Sync {
    fn recorder_installed(&self);
}

static HOOKS: Mutex<Vec<&'static dyn InstallHook>> = Mutex::new(Vec::new());

/// Runs `hook` once, at the next call of [`recorder_installed`].
pub(crate) fn on_install(hook: &'static dyn InstallHook) {
    lock(&HOOKS).push(hook);
}

/// Runs the hooks. A registry calls this when it is installed. Recorders of other crates do not, so code
/// that finds one installed calls this too.
pub(crate) fn recorder_installed() {
    // Not under the lock: a hook may record metrics and thereby register another hook.
    let hooks = std::mem::take(&mut *lock(&HOOKS));
    for hook in hooks {
        hook.recorder_installed();
    }
}
