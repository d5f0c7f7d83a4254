//! The registry that is installed as the global recorder of the `metrics` crate, and where it was
//! installed.

use std::panic::Location;
use std::sync::{Mutex, OnceLock};

use crate::error::Error;
use crate::registry::Registry;
use crate::registry::hooks;
use crate::sync::lock;

static GLOBAL: OnceLock<(Registry, &'static Location<'static>)> = OnceLock::new();

impl Registry {
    /// Returns the registry that was [installed](super::RegistryBuilder::install) as the global recorder.
    ///
    /// Only [`RegistryBuilder::install`](super::RegistryBuilder::install) makes a registry known to this function. It
    /// returns `None` if
    ///
    /// - no recorder is installed,
    /// - the global recorder is from another crate,
    /// - the global recorder is a registry that was passed to `metrics::set_global_recorder`.
    pub fn global() -> Option<Self> {
        GLOBAL.get().map(|(registry, _)| registry.clone())
    }
}

pub(crate) fn install(
    registry: Registry,
    caller: &'static Location<'static>,
) -> Result<Registry, Error> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let installing = lock(&ONE_AT_A_TIME);
    if let Some((_, first)) = GLOBAL.get() {
        return Err(Error::already_installed(format!(
            "a registry is already installed as the global recorder, at {first}; use that one, \
             `Registry::global`, or one that is not installed, `RegistryBuilder::build`"
        )));
    }
    if metrics::set_global_recorder(registry.clone()).is_err() {
        return Err(Error::already_installed(
            "another global recorder is already installed; install the registry before it, or create the \
             registry with `build` and pass it to layers and catalogues",
        ));
    }
    let (registry, _) = GLOBAL.get_or_init(|| (registry, caller));
    drop(installing);
    hooks::recorder_installed();
    Ok(registry.clone())
}
