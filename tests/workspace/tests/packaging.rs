//! Published packages contain the files to which their documents and sources refer, and no tests or tools.

use std::{
    collections::BTreeSet,
    fs,
    path::{Component, Path, PathBuf},
};

use workspace_checks::metadata::{self, Package, cargo};

/// The documents whose links must resolve in the package.
const DOCUMENTS: [&str; 4] = ["README.md", "CHANGELOG.md", "DESIGN.md", "COMPARE.md"];

/// Documents link to tests as evidence. The files must exist in the repository, but are not packaged.
const FOLDER_OF_TESTS: &str = "tests";

/// The files that a package may contain, and folders, which end with `/`.
const CONTENT: [&str; 13] = [
    ".cargo_vcs_info.json",
    "CHANGELOG.md",
    "COMPARE.md",
    "Cargo.lock",
    "Cargo.toml",
    "Cargo.toml.orig",
    "DESIGN.md",
    "LICENSE",
    "README.md",
    "docs/",
    "examples/",
    "page/",
    "src/",
];

#[test]
fn published_packages_contain_the_files_they_refer_to_and_no_unexpected_ones() {
    let mut found = Vec::new();
    for package in metadata::published(&metadata::metadata()) {
        let files = files(&package);
        println!("{}: {} files", package.name, files.len());
        let problems = problems(&package.folder, &files);
        found.extend(
            problems
                .into_iter()
                .map(|problem| format!("{}: {problem}", package.name)),
        );
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// Packages all of them together, because one may need another that is not published yet.
#[test]
fn published_packages_can_be_packaged_without_network() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("package");
    let target = target.display().to_string();
    let packages = metadata::published(&metadata::metadata());
    let mut arguments = vec![
        "package",
        "--no-verify",
        "--allow-dirty",
        "--offline",
        "--target-dir",
        &target,
    ];
    for package in &packages {
        arguments.extend(["--package", &package.name]);
    }
    cargo(&arguments);
}

fn files(package: &Package) -> BTreeSet<PathBuf> {
    cargo(&[
        "package",
        "--list",
        "--allow-dirty",
        "--offline",
        "--package",
        &package.name,
    ])
    .lines()
    .map(PathBuf::from)
    .collect()
}

/// Returns the files that a package lacks, and those that it must not contain.
fn problems(folder: &Path, files: &BTreeSet<PathBuf>) -> Vec<String> {
    let mut found = Vec::new();
    for required in ["README.md", "LICENSE", "Cargo.toml"] {
        if !files.contains(Path::new(required)) {
            found.push(format!("{required} is not packaged"));
        }
    }
    for file in files {
        let is_expected = CONTENT.iter().any(|content| match content.ends_with('/') {
            true => file.starts_with(content),
            false => file == Path::new(content),
        });
        if !is_expected {
            found.push(format!("{} does not belong in the package", file.display()));
        }
        let is_document = DOCUMENTS.iter().any(|document| file == Path::new(document));
        let is_source = file.extension().is_some_and(|extension| extension == "rs");
        if !is_document && !is_source {
            continue;
        }
        let Ok(text) = fs::read_to_string(folder.join(file)) else {
            found.push(format!("{} cannot be read", file.display()));
            continue;
        };
        let referred = if is_document {
            links(&text)
        } else {
            included(&text)
        };
        for link in referred {
            let Some(target) = resolve(file, &link) else {
                found.push(format!(
                    "{} refers to {link}, outside of the package",
                    file.display()
                ));
                continue;
            };
            let is_test = is_document && target.starts_with(FOLDER_OF_TESTS);
            let exists = match is_test {
                true => folder.join(&target).exists(),
                false => files.iter().any(|file| file.starts_with(&target)),
            };
            if !exists {
                found.push(format!(
                    "{} refers to {link}, which is not packaged",
                    file.display()
                ));
            }
        }
    }
    found
}

/// Returns the relative links of a Markdown text, without anchors.
fn links(text: &str) -> Vec<String> {
    let inline = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', ' ']).next());
    let references = text.lines().filter_map(|line| {
        let (_, target) = line.strip_prefix('[')?.split_once("]: ")?;
        target.split(' ').next()
    });
    let sources = text
        .split("src=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next());
    inline
        .chain(references)
        .chain(sources)
        .map(|link| link.split('#').next().unwrap_or_default())
        .filter(|link| !link.is_empty() && !link.contains(':'))
        .map(str::to_owned)
        .collect()
}

/// Returns the files that `include_str!` and `include_bytes!` include.
fn included(text: &str) -> Vec<String> {
    ["include_str!(\"", "include_bytes!(\""]
        .iter()
        .flat_map(|start| text.split(*start).skip(1))
        .filter_map(|rest| rest.split('"').next())
        .map(str::to_owned)
        .collect()
}

/// Resolves a link of a file to a path relative to the package. `None` if the link leaves the package.
fn resolve(file: &Path, link: &str) -> Option<PathBuf> {
    let mut target = file.parent()?.to_owned();
    for component in Path::new(link).components() {
        match component {
            Component::Normal(name) => target.push(name),
            Component::ParentDir => {
                if !target.pop() {
                    return None;
                }
            }
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir => return None,
        }
    }
    Some(target)
}

fn check(name: &str, packaged: &[(&str, &str)], others: &[&str]) -> Vec<String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("packaging")
        .join(name);
    let _ = fs::remove_dir_all(&folder);
    let required = [("Cargo.toml", ""), ("LICENSE", ""), ("README.md", "")];
    for (file, text) in required
        .iter()
        .chain(packaged)
        .chain(others.iter().map(|o| (*o, "")).collect::<Vec<_>>().iter())
    {
        let file = folder.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    let files = required
        .iter()
        .chain(packaged)
        .map(|(file, _)| PathBuf::from(file))
        .collect();
    problems(&folder, &files)
}

#[test]
fn missing_files_are_reported() {
    let readme = "[a](DESIGN.md) [b](docs/guide/b.md#part) [c](docs) [d](https://example.org) [e](#here)\n\
                  <img src=\"docs/f.svg\">\n[g]: examples/g.rs";
    let files = [
        ("README.md", readme),
        ("DESIGN.md", ""),
        ("docs/guide/b.md", ""),
        ("docs/f.svg", ""),
        ("examples/g.rs", ""),
    ];
    assert_eq!(check("complete", &files, &[]), [""; 0]);
    assert_eq!(
        check("missing", &files[..1], &[]),
        [
            "README.md refers to DESIGN.md, which is not packaged",
            "README.md refers to docs/guide/b.md, which is not packaged",
            "README.md refers to docs, which is not packaged",
            "README.md refers to examples/g.rs, which is not packaged",
            "README.md refers to docs/f.svg, which is not packaged",
        ]
    );
}

#[test]
fn linked_tests_must_exist_but_need_not_be_packaged() {
    let files = [("README.md", "[test](tests/a.rs)")];
    assert_eq!(check("test", &files, &["tests/a.rs"]), [""; 0]);
    assert_eq!(
        check("no_test", &files, &[]),
        ["README.md refers to tests/a.rs, which is not packaged"]
    );
}

#[test]
fn included_texts_must_be_packaged() {
    let source = "#[doc = include_str!(\"../docs/guide.md\")] mod guide {}";
    let files = [("src/lib.rs", source), ("docs/guide.md", "")];
    assert_eq!(check("included", &files, &[]), [""; 0]);
    assert_eq!(
        check("not_included", &files[..1], &["docs/guide.md"]),
        ["src/lib.rs refers to ../docs/guide.md, which is not packaged",]
    );
    assert_eq!(
        check(
            "outside",
            &[("src/lib.rs", "include_str!(\"../../LICENSE\")")],
            &[]
        ),
        ["src/lib.rs refers to ../../LICENSE, outside of the package",]
    );
}

#[test]
fn tests_and_tools_must_not_be_packaged() {
    let files = [
        ("tests/a.rs", ""),
        (".ci/run", ""),
        ("clippy.toml", ""),
        ("src/lib.rs", ""),
    ];
    assert_eq!(
        check("leak", &files, &[]),
        [
            ".ci/run does not belong in the package",
            "clippy.toml does not belong in the package",
            "tests/a.rs does not belong in the package",
        ]
    );
}
