//! The workspace's packages, from `cargo metadata`.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::source::Source;

/// The folder of the workspace.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// A package of the workspace.
#[derive(Clone, Debug)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// The id that `cargo metadata` gives it.
    pub id: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Whether it may be published.
    pub is_published: bool,
    /// The name of its library and the library's first file, relative to the folder.
    pub library: Option<(String, PathBuf)>,
}

impl Package {
    /// Reads the source of the package's library.
    ///
    /// # Panics
    ///
    /// If the package has no library or its source cannot be read.
    pub fn source(&self) -> Source {
        let Some((name, file)) = &self.library else {
            panic!("{} has no library", self.name);
        };
        Source::read(name, &self.folder, file)
    }

    /// Whether the package is the core, `tower-prometheus`.
    pub fn is_core(&self) -> bool {
        self.name == "tower-prometheus"
    }
}

/// Runs `cargo metadata` for all features and this platform, with the lock file.
///
/// Needs no network once the dependencies are downloaded, for example by a build.
///
/// # Panics
///
/// If Cargo fails, for example because `Cargo.lock` is not up to date.
pub fn metadata() -> Value {
    let json = cargo(&[
        "metadata",
        "--format-version=1",
        "--all-features",
        "--locked",
        "--filter-platform=host-tuple",
    ]);
    serde_json::from_str(&json).expect("cargo metadata is JSON")
}

/// The packages of the workspace that may be published.
///
/// # Panics
///
/// As [`metadata`].
pub fn published(metadata: &Value) -> Vec<Package> {
    let members = strings(&metadata["workspace_members"]);
    array(&metadata["packages"])
        .iter()
        .filter(|package| members.iter().any(|member| *member == package["id"]))
        .map(package)
        .filter(|package| package.is_published)
        .collect()
}

fn package(value: &Value) -> Package {
    let manifest = PathBuf::from(text(&value["manifest_path"]));
    let folder = manifest
        .parent()
        .expect("a manifest is in a folder")
        .to_owned();
    let library = array(&value["targets"])
        .iter()
        .find(|target| strings(&target["kind"]).contains(&"lib"))
        .map(|target| {
            let file = Path::new(text(&target["src_path"]));
            let file = file
                .strip_prefix(&folder)
                .expect("src is in the package")
                .to_owned();
            (text(&target["name"]).replace('-', "_"), file)
        });
    Package {
        name: text(&value["name"]).to_owned(),
        id: text(&value["id"]).to_owned(),
        is_published: value["publish"].as_array().is_none_or(|to| !to.is_empty()),
        folder,
        library,
    }
}

/// Runs Cargo in the folder of the workspace and returns its standard output.
///
/// # Panics
///
/// If Cargo fails.
pub fn cargo(arguments: &[&str]) -> String {
    let program = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .output()
        .expect("cargo starts");
    assert!(
        output.status.success(),
        "cargo {} failed:\n{}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr),
    );
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}

/// Returns the elements of a JSON array, or none for any other value.
pub fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Returns the text of a JSON string, or an empty string for any other value.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The texts of a JSON array of strings.
pub fn strings(value: &Value) -> Vec<&str> {
    array(value).iter().map(text).collect()
}
