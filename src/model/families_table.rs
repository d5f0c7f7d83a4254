//! [`families_table`]: metric families as a Markdown table for a README.

use std::fmt::Write;

use crate::model::description::{FamilyDescription, LabelDescription, LabelValues};

/// Returns a Markdown table of metric families: name, type, labels with their closed values, HELP text.
///
/// A test can compare it with the table in a README, so that the README stays up to date.
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
