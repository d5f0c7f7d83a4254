//! The generated files in the repository: of the layers, and of the example systems.
//!
//! They are read, not generated again: `golden` checks that those of the layers are up to date, and the package
//! `systems` does so for its own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The files of layers with their default configurations.
pub(crate) fn layers_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("generated")
}

/// One directory for each example system.
fn systems_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/systems/generated")
}

/// Every file below a directory.
pub(crate) fn files_in(directory: &Path) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_in(&path));
        } else {
            files.insert(path);
        }
    }
    files
}

/// The text of every generated file, by a path that starts with `layers` or the name of a system.
pub(crate) fn files() -> BTreeMap<PathBuf, String> {
    let mut files = BTreeMap::new();
    for (directory, prefix) in [(layers_directory(), "layers"), (systems_directory(), "")] {
        for path in files_in(&directory) {
            let relative = Path::new(prefix).join(path.strip_prefix(&directory).unwrap());
            files.insert(relative, std::fs::read_to_string(path).unwrap());
        }
    }
    files
}

/// The files whose path ends with `end`.
pub(crate) fn files_ending(end: &str) -> Vec<(PathBuf, String)> {
    let files = files().into_iter();
    let files: Vec<_> = files
        .filter(|(path, _)| path.to_string_lossy().ends_with(end))
        .collect();
    assert!(!files.is_empty(), "no file ends with {end}");
    files
}
