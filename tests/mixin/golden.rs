//! The files of the repository are what the code makes. `MIXIN_OVERWRITE=1` makes them again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tower_prometheus::mixin::{Dashboard, Mixin, Rules};

use crate::families;
use crate::systems;
use test_support::process::example;
use test_support::skip_without;
use test_support::store::{Directory, promtool};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("mixin")
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
fn the_files_of_the_repository_are_what_the_code_makes() {
    if std::env::var_os("MIXIN_OVERWRITE").is_some() {
        for (system, mixin) in systems::all() {
            mixin.write_to(root().join(system)).unwrap();
        }
    }
    let mut expected = BTreeSet::new();
    for (path, text) in systems::files() {
        let path = root().join(path);
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == text,
            "{} is not what the code makes: look at `git diff` after MIXIN_OVERWRITE=1 cargo test --all-features --test mixin",
            path.display()
        );
        expected.insert(path);
    }
    // Nothing is left over from what the code once made.
    assert_eq!(files_in(&root()), expected);
}

#[test]
fn the_example_writes_a_directory_that_can_be_deployed() {
    let temporary = Directory::new();
    let directory = temporary.0.join("mixin");
    let output = example("mixin").arg(&directory).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let files: BTreeSet<_> = files_in(&directory)
        .into_iter()
        .map(|path| path.strip_prefix(&directory).unwrap().to_owned())
        .collect();
    let expected = [
        "dashboards/shop-grpc.api.json",
        "dashboards/shop-grpc.json",
        "dashboards/shop-http.api.json",
        "dashboards/shop-http.json",
        "prometheus.yml",
        "rules/shop.yml",
        "vmagent.yml",
    ];
    assert_eq!(files, expected.into_iter().map(PathBuf::from).collect());
    // The configuration names the rules, so this checks both.
    skip_without!(Promtool);
    promtool(&["check", "config", "prometheus.yml"], &directory);
}

#[test]
fn nothing_is_written_when_something_cannot_be_made() {
    let good = || Dashboard::process("process", "Process", families::process());
    let bad = Dashboard::process("other", "Other", families::aria());
    let directory = Directory::new();
    let refused = |mixin: Mixin| {
        let error = mixin.write_to(&directory.0).unwrap_err().to_string();
        assert!(files_in(&directory.0).is_empty(), "{error}");
        error
    };
    assert_eq!(
        refused(Mixin::new().dashboard(good()).dashboard(bad)),
        "dashboard \"Other\": it has no panel that asks for a family"
    );
    assert_eq!(
        refused(Mixin::new().dashboard(good()).dashboard(good())),
        "two files would be called dashboards/process.json"
    );
    let rules = Rules::new(families::process());
    assert!(refused(Mixin::new().rules("../rules", rules)).contains("cannot be a file of rules"));
    // A directory that cannot be made is an error that names it.
    let file = directory.write("file", "");
    let error = Mixin::new().dashboard(good()).write_to(&file).unwrap_err();
    assert!(error.to_string().starts_with("cannot write "), "{error}");
}
