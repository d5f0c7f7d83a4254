//! The versions in `troubleshooting.md` and `recipes.md` are those of `Cargo.toml`.

use crate::page::{RECIPES, block};

const MANIFEST: &str = include_str!("../../../../Cargo.toml");
const PAGE: &str = include_str!("../../../../docs/guide/troubleshooting.md");

#[test]
fn documented_versions_are_those_of_the_manifest() {
    let (_, section) = PAGE.split_once("\n# Versions\n").unwrap();
    let (section, _) = section.split_once("\n# ").unwrap();
    let rows: Vec<_> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
        .collect();
    assert_eq!(rows.len(), 5, "{rows:?}");
    for (name, rest) in rows {
        let version = rest.split_once(" |").unwrap().0;
        let lines = [
            format!("\n{name} = \"{version}\"\n"),
            format!("\n{name} = {{ version = \"{version}\","),
        ];
        let is_required = lines.iter().any(|line| MANIFEST.contains(line));
        assert!(is_required, "{name} {version}");
    }
}

#[test]
fn recipes_name_the_pools_that_are_tested() {
    let shown = block(RECIPES, "toml", "[dependencies]").lines();
    let pools = shown.filter(|line| {
        ["sqlx ", "deadpool ", "bb8 "]
            .iter()
            .any(|name| line.starts_with(name))
    });
    let pools: Vec<_> = pools.collect();
    assert_eq!(pools.len(), 3);
    for line in pools {
        assert!(MANIFEST.contains(&format!("\n{line}\n")), "{line}");
    }
}
