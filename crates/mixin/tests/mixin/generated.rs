//! Reads the generated files in the repository: those of the layers and those of the example systems.
//!
//! Other tests check that the files are up to date: `golden` for the layers, the package `systems` for the example systems.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Returns the directory with the files of layers with the default configuration.
pub(crate) fn layers_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("generated")
}

/// Returns the directory that has a subdirectory for each example system.
fn systems_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/systems/generated")
}

/// Returns the paths of all files below a directory.
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

/// Returns the content of all generated files, by a path that starts with `layers` or the name of a system.
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

/// Returns the generated files whose path ends with `end`. Panics if no path does.
pub(crate) fn files_ending(end: &str) -> Vec<(PathBuf, String)> {
    let files = files().into_iter();
    let files: Vec<_> = files
        .filter(|(path, _)| path.to_string_lossy().ends_with(end))
        .collect();
    assert!(!files.is_empty(), "no file ends with {end}");
    files
}
