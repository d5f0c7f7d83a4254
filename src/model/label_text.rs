//! Labels as text: escaped, and sorted by name so that the order at a call site does not matter.

use crate::model::names::escape_label_value;

/// Labels as `a="1",b="2"`.
pub(crate) fn label_text<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    sorted(labels, |labels| {
        let mut text = String::with_capacity(text_len(labels));
        write_labels(&mut text, labels);
        text
    })
}

/// Appends labels as `a="1",b="2"`. Returns the name of a label that is set twice.
pub(crate) fn append_label_text<'a>(
    text: &mut String,
    labels: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<(), &'a str> {
    sorted(labels, |labels| {
        if let Some(twice) = labels.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(twice[0].0);
        }
        write_labels(text, labels);
        Ok(())
    })
}

/// The start of a sample line, up to its value: `name{a="1",b="2"} `.
pub(crate) fn series_prefix<'a>(
    name: &str,
    labels: impl Iterator<Item = (&'a str, &'a str)>,
) -> String {
    sorted(labels, |labels| {
        let len = name.len() + "{} ".len() + text_len(labels);
        let mut line = String::with_capacity(len);
        line.push_str(name);
        if !labels.is_empty() {
            line.push('{');
            write_labels(&mut line, labels);
            line.push('}');
        }
        line.push(' ');
        line
    })
}

/// The line of a state up to its value: `name{a="1",name="state"} `. The label of the state is the last, so that the
/// states of a state set are together when lines are sorted, as OpenMetrics requires. `labels` is a
/// [label text](label_text).
pub(crate) fn state_prefix(name: &str, labels: &str, state: &str) -> String {
    let mut prefix = format!("{name}{{{labels}");
    append_state_label(&mut prefix, name, state, labels.is_empty());
    prefix.push_str("} ");
    prefix
}

/// Appends the label of a state, which is the last of its series.
pub(crate) fn append_state_label(text: &mut String, name: &str, state: &str, is_first: bool) {
    let comma = if is_first { "" } else { "," };
    text.extend([comma, name, "=\""]);
    escape_label_value(text, state);
    text.push('"');
}

/// Calls `f` with the labels sorted by name. Up to twelve labels are sorted without an allocation.
fn sorted<'a, T>(
    labels: impl Iterator<Item = (&'a str, &'a str)>,
    f: impl FnOnce(&[(&'a str, &'a str)]) -> T,
) -> T {
    let mut labels = labels.fuse();
    let mut few = [("", ""); 12];
    let mut len = 0;
    for (slot, label) in few.iter_mut().zip(&mut labels) {
        *slot = label;
        len += 1;
    }
    let mut many;
    let labels = match labels.next() {
        None => &mut few[..len],
        Some(next) => {
            many = few.to_vec();
            many.push(next);
            many.extend(labels);
            &mut many[..]
        }
    };
    labels.sort_unstable();
    f(labels)
}

/// The length of the text if nothing in it needs escaping.
fn text_len(labels: &[(&str, &str)]) -> usize {
    const PUNCTUATION: usize = "=\"\",".len();
    let lengths = labels.iter();
    let lengths = lengths.map(|(name, value)| name.len() + PUNCTUATION + value.len());
    // The last label has no comma.
    lengths.sum::<usize>().saturating_sub(1)
}

fn write_labels(text: &mut String, labels: &[(&str, &str)]) {
    for (i, (name, value)) in labels.iter().enumerate() {
        if i > 0 {
            text.push(',');
        }
        text.push_str(name);
        text.push_str("=\"");
        escape_label_value(text, value);
        text.push('"');
    }
}

/// The names and the escaped values in a [label text](label_text).
pub(crate) fn label_pairs(mut text: &str) -> impl Iterator<Item = (&str, &str)> {
    std::iter::from_fn(move || {
        let (name, rest) = text.split_once("=\"")?;
        let mut escaped = false;
        let end = rest.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        })?;
        text = rest[end + 1..].trim_start_matches(',');
        Some((name, &rest[..end]))
    })
}
