//! Finds labels in a metrics page of the text format 0.0.4.

/// Returns the first metric and label of a page such that the label is one of `labels`.
pub(crate) fn find_label<'a>(page: &'a str, labels: &[String]) -> Option<(&'a str, &'a str)> {
    let samples = page.lines().filter(|line| !line.starts_with('#'));
    let mut labelled = samples.filter_map(|line| line.split_once('{'));
    labelled.find_map(|(metric, rest)| {
        let label = label_names(rest).find(|name| labels.iter().any(|label| label == name))?;
        Some((metric, label))
    })
}

/// Returns the label names of a sample, given its line after the opening brace.
fn label_names(mut rest: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let (name, value) = rest.split_once("=\"")?;
        rest = after_value(value);
        Some(name.trim_start_matches([',', ' ']))
    })
}

/// Returns what follows the closing quote of a label value.
fn after_value(value: &str) -> &str {
    let mut is_escaped = false;
    let end = value.bytes().position(|byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    });
    end.map_or("", |end| &value[end + 1..])
}
