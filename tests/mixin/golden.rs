//! The generated files of the systems are up to date. `MIXIN_OVERWRITE=1` writes them again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::systems;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/systems/generated")
}

/// Every file below a directory.
fn files_in(directory: &Path) -> BTreeSet<PathBuf> {
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

#[test]
fn generated_files_are_up_to_date() {
    if std::env::var_os("MIXIN_OVERWRITE").is_some() {
        systems::layers().write_to(root().join("layers")).unwrap();
    }
    let mut expected = BTreeSet::new();
    for (path, text) in systems::files() {
        let path = root().join(path);
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == text,
            "{} is not up to date: run the test with MIXIN_OVERWRITE=1 and check `git diff`",
            path.display()
        );
        expected.insert(path);
    }
    // No file is left over that is no longer generated.
    assert_eq!(files_in(&root()), expected);
}
