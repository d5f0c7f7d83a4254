//! Examples that are not servers print what their documentation shows.

use std::env::{consts::EXE_SUFFIX, current_exe};
use std::process::Command;

/// Returns a command that runs an example from the target directory. `cargo test` builds it there, but
/// `cargo test --test examples` does not.
fn example(name: &str) -> Command {
    let test = current_exe().unwrap();
    let examples = test.ancestors().nth(2).unwrap().join("examples");
    Command::new(examples.join(format!("{name}{EXE_SUFFIX}")))
}

#[test]
fn examples_print_what_their_documentation_says() {
    for (name, source) in [
        ("catalogue", include_str!("../examples/catalogue.rs")),
        ("client", include_str!("../examples/client.rs")),
        ("labels", include_str!("../examples/labels.rs")),
        ("namings", include_str!("../examples/namings.rs")),
    ] {
        let output = example(name)
            .output()
            .expect("`cargo test` builds the examples");
        assert!(output.status.success(), "{output:?}");
        let printed = String::from_utf8(output.stdout).unwrap();
        let documentation = source.lines().map_while(|line| line.strip_prefix("//!"));
        let lines = documentation.map(|line| line.strip_prefix(' ').unwrap_or(line));
        let lines = lines
            .skip_while(|line| !line.starts_with("$ cargo run"))
            .skip(1);
        let documented: Vec<_> = lines.take_while(|line| *line != "```").collect();
        assert_eq!(printed.lines().collect::<Vec<_>>(), documented, "{name}");
    }
}
