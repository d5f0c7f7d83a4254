//! [`families_table`]: families as a table for a README.

use std::fmt::Write;

use crate::model::description::{FamilyDescription, LabelDescription, LabelValues};

/// Families as a table in Markdown: name, type, labels with their closed values, help.
///
/// A test that compares it with a README keeps that one true.
#[must_use]
pub fn families_table(families: &[FamilyDescription]) -> String {
    let mut table = "| family | type | labels | |\n|---|---|---|---|\n".to_owned();
    for family in families {
        let labels: Vec<_> = family.labels.iter().map(label).collect();
        let _ = writeln!(
            table,
            "| `{}` | {} | {} | {} |",
            family.name,
            family.kind.as_str(),
            labels.join(", "),
            family.help.replace('|', r"\|"),
        );
    }
    table
}

fn label(label: &LabelDescription) -> String {
    match &label.values {
        LabelValues::Open => format!("`{}`", label.name),
        LabelValues::Closed(values) => {
            let values: Vec<_> = values
                .iter()
                .map(|value| value.replace('|', r"\|"))
                .collect();
            format!("`{}` ({})", label.name, values.join(", "))
        }
    }
}
