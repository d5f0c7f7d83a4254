//! Examples that print and end print what their documentation says.

use std::env::{consts::EXE_SUFFIX, current_exe};
use std::process::Command;

/// An example, built with the tests beside the tests' own directory.
fn example(name: &str) -> Command {
    let test = current_exe().unwrap();
    let examples = test.ancestors().nth(2).unwrap().join("examples");
    Command::new(examples.join(format!("{name}{EXE_SUFFIX}")))
}

/// Each line, to the letter.
#[test]
fn examples_print_what_their_documentation_says() {
    for (name, source) in [
        ("catalogue", include_str!("../examples/catalogue.rs")),
        ("client", include_str!("../examples/client.rs")),
        ("labels", include_str!("../examples/labels.rs")),
        ("namings", include_str!("../examples/namings.rs")),
    ] {
        let output = example(name).output().expect("it is built with the tests");
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
