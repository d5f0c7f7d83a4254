//! The blocks of code in the pages of `docs/guide`.

use std::collections::BTreeSet;

pub const DASHBOARDS: &str = include_str!("../../../../docs/guide/dashboards.md");
pub const KUBERNETES: &str = include_str!("../../../../docs/guide/kubernetes.md");
pub const RECIPES: &str = include_str!("../../../../docs/guide/recipes.md");
pub const SECURING: &str = include_str!("../../../../docs/guide/securing.md");
pub const SHUTDOWN: &str = include_str!("../../../../docs/guide/shutdown.md");

/// The blocks of a language, such as `yaml`.
pub fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let opening = format!("\n```{language}\n");
    let after = page.split(&opening).skip(1);
    after
        .map(|rest| rest.split_once("\n```").expect("the block ends").0)
        .collect()
}

/// The only block of a language that contains a text.
#[track_caller]
pub fn block<'a>(page: &'a str, language: &str, text: &str) -> &'a str {
    let mut found = blocks(page, language);
    found.retain(|block| block.contains(text));
    assert_eq!(found.len(), 1, "blocks with {text:?}: {found:?}");
    found[0]
}

/// The commands of the page that start with this program.
pub fn commands<'a>(page: &'a str, program: &str) -> Vec<&'a str> {
    let lines = blocks(page, "console")
        .into_iter()
        .flat_map(str::lines)
        .filter_map(|line| line.strip_prefix("$ "));
    lines
        .filter(|command| command.split(' ').next() == Some(program))
        .collect()
}

/// A reader copies the code from the page. So the page must contain what is built here.
#[test]
fn pages_show_the_programs_that_are_tested() {
    let programs = [
        (
            DASHBOARDS,
            include_str!("../../../../docs/guide/dashboards.rs"),
        ),
        (SECURING, include_str!("../../../../docs/guide/securing.rs")),
        (
            SECURING,
            include_str!("../../../../docs/guide/securing_tls.rs"),
        ),
        (SHUTDOWN, include_str!("../../../../docs/guide/shutdown.rs")),
        (
            SHUTDOWN,
            include_str!("../../../../docs/guide/shutdown_grpc.rs"),
        ),
        (
            SHUTDOWN,
            include_str!("../../../../docs/guide/shutdown_job.rs"),
        ),
    ];
    for (page, program) in programs {
        let block = format!("\n```no_run\n{program}```\n");
        assert!(
            page.contains(&block),
            "the page lacks this text:\n{program}"
        );
    }
}

/// The blocks of `recipes.md` are not run as doc tests, because they refer to each other.
#[test]
fn rust_blocks_of_recipes_are_the_modules_that_are_tested() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide/recipes");
    let files = std::fs::read_dir(folder).unwrap();
    let modules = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    let modules: BTreeSet<_> = modules.collect();
    let shown = blocks(RECIPES, "no_run").into_iter();
    let shown: BTreeSet<_> = shown.map(|block| format!("{block}\n")).collect();
    assert_eq!(shown, modules);
    let fences = RECIPES.lines().filter(|line| line.starts_with("```"));
    let mut openings = fences.step_by(2);
    assert!(openings.all(|opening| ["```no_run", "```toml"].contains(&opening)));
}
