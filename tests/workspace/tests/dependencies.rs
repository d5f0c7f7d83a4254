//! Licences, duplicate versions and number of the crates on which the published packages depend.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use workspace_checks::metadata::{self, array, cargo, text};

/// Licences that a dependency may have. Each allows use in programs of any licence if the licence text is kept.
const LICENCES: [&str; 6] = [
    "Apache-2.0",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Zlib",
];

/// Crates that may be compiled in two versions, with the crate that needs the other version.
const DUPLICATES: &[(&str, &str)] = &[
    ("getrandom", "ring needs 0.2"),
    (
        "hashbrown",
        "metrics-exporter-prometheus needs 0.16, feature `exporter`",
    ),
    ("matchit", "axum needs 0.8.4"),
    (
        "quanta",
        "metrics-exporter-prometheus needs 0.12, feature `exporter`",
    ),
    (
        "syn",
        "prost and promql-parser need 2, other derive macros 3",
    ),
    ("unicode-width", "promql-parser needs 0.1"),
];

/// The maximum number of crates on which the core depends, by its features.
const LIMITS: [(&str, usize); 2] = [("", 19), ("default", 35)];

#[test]
fn dependencies_have_allowed_licences() {
    let metadata = metadata::metadata();
    let dependencies = dependencies(&metadata);
    println!("{} dependencies with all features", dependencies.len());
    let found: Vec<String> = dependencies
        .iter()
        .filter(|package| !is_allowed(text(&package["license"])))
        .map(|package| {
            format!(
                "{} {}: licence {:?} is not on the list",
                text(&package["name"]),
                text(&package["version"]),
                text(&package["license"]),
            )
        })
        .collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn dependencies_have_one_version() {
    let packages = metadata::published(&metadata::metadata());
    let mut arguments = vec!["--all-features", "--duplicates"];
    for package in &packages {
        arguments.extend(["--package", &package.name]);
    }
    let found = duplicate_problems(&tree(&arguments), DUPLICATES);
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn number_of_dependencies_of_the_core_is_within_its_limit() {
    let mut found = Vec::new();
    for (features, limit) in LIMITS {
        let tree = tree(&[
            "--package=tower-prometheus",
            "--no-default-features",
            "--features",
            features,
        ]);
        let crates: BTreeSet<&str> = tree
            .iter()
            .map(String::as_str)
            .filter(|line| !line.starts_with("tower-prometheus "))
            .collect();
        println!(
            "features {features:?}: {} dependencies of the core (limit {limit})",
            crates.len()
        );
        if crates.len() > limit {
            found.push(format!(
                "features {features:?} need {} dependencies, limit {limit}: {}",
                crates.len(),
                crates.into_iter().collect::<Vec<_>>().join(", "),
            ));
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// Returns the dependencies of the published packages, without packages of the workspace.
fn dependencies(metadata: &Value) -> Vec<&Value> {
    let nodes: BTreeMap<&str, &Value> = array(&metadata["resolve"]["nodes"])
        .iter()
        .map(|node| (text(&node["id"]), node))
        .collect();
    let published = metadata::published(metadata);
    let mut waiting: Vec<&str> = published
        .iter()
        .map(|package| package.id.as_str())
        .collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        if seen.insert(id) {
            let needed = array(&nodes[id]["deps"]).iter().filter(|dependency| {
                array(&dependency["dep_kinds"])
                    .iter()
                    .any(|kind| kind["kind"] != "dev")
            });
            waiting.extend(needed.map(|dependency| text(&dependency["pkg"])));
        }
    }
    array(&metadata["packages"])
        .iter()
        .filter(|package| seen.contains(text(&package["id"])) && !package["source"].is_null())
        .collect()
}

/// Returns the normal dependencies that `cargo tree` prints, each as `name version`.
fn tree(arguments: &[&str]) -> Vec<String> {
    let fixed = [
        "tree",
        "--locked",
        "--edges=normal",
        "--prefix=none",
        "--format={p}",
    ];
    cargo(&[&fixed[..], arguments].concat())
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "))
        .collect()
}

/// Whether allowed licences satisfy an SPDX expression. `/` is an old notation for OR.
fn is_allowed(expression: &str) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    alternatives(&words, &mut at) && at == words.len()
}

fn alternatives(words: &[&str], at: &mut usize) -> bool {
    let mut allowed = all_of(words, at);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        allowed |= all_of(words, at);
    }
    allowed
}

fn all_of(words: &[&str], at: &mut usize) -> bool {
    let mut allowed = licence(words, at);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        allowed &= licence(words, at);
    }
    allowed
}

fn licence(words: &[&str], at: &mut usize) -> bool {
    let Some(word) = words.get(*at) else {
        return false;
    };
    *at += 1;
    if *word == "(" {
        let allowed = alternatives(words, at);
        *at += 1;
        return allowed;
    }
    if words.get(*at) == Some(&"WITH") {
        // An exception only adds permissions.
        *at += 2;
    }
    LICENCES.contains(word)
}

fn duplicate_problems(tree: &[String], allowed: &[(&str, &str)]) -> Vec<String> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, version) in tree.iter().filter_map(|line| line.split_once(' ')) {
        versions.entry(name).or_default().insert(version);
    }
    versions.retain(|_, versions| versions.len() > 1);
    let mut found = Vec::new();
    for (name, versions) in &versions {
        if !allowed.iter().any(|(allowed, _)| allowed == name) {
            let versions: Vec<&str> = versions.iter().copied().collect();
            found.push(format!("{name} has the versions {}", versions.join(", ")));
        }
    }
    for (name, _) in allowed {
        if !versions.contains_key(name) {
            found.push(format!(
                "{name} has only one version: remove it from the list"
            ));
        }
    }
    found
}

#[test]
fn licence_expressions_are_evaluated() {
    for allowed in [
        "MIT",
        "MIT OR Apache-2.0",
        "MIT/GPL-3.0",
        "Apache-2.0 WITH LLVM-exception OR GPL-3.0",
        "(MIT OR GPL-3.0) AND Unicode-3.0",
        "GPL-3.0 OR (MIT AND ISC)",
    ] {
        assert!(is_allowed(allowed), "{allowed}");
    }
    for refused in [
        "",
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "(MIT OR ISC) AND GPL-3.0",
        "MIT ISC",
    ] {
        assert!(!is_allowed(refused), "{refused}");
    }
}

#[test]
fn duplicate_version_must_be_on_the_list() {
    let tree = [
        "syn v2.0.1",
        "syn v3.0.0",
        "syn v2.0.1",
        "quote v1.0.0",
        "quote v1.0.0",
    ]
    .map(str::to_owned);
    assert_eq!(
        duplicate_problems(&tree, &[]),
        ["syn has the versions v2.0.1, v3.0.0"]
    );
    assert_eq!(duplicate_problems(&tree, &[("syn", "")]), [""; 0]);
    assert_eq!(
        duplicate_problems(&tree, &[("syn", ""), ("quote", "")]),
        ["quote has only one version: remove it from the list"],
    );
}
