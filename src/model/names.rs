//! Metric and label names: the grammar, sanitizing and escaping.
//!
//! The crates that build on this one check names with the same functions.

use std::fmt::Write;

use crate::error::Error;

/// Checks whether a metric can have this name.
///
/// # Errors
///
/// If the name is empty, starts with a digit, or has characters other than ASCII letters, digits, `_` and `:`.
pub fn check_metric_name(name: &str) -> Result<(), Error> {
    if is_metric_name(name) {
        return Ok(());
    }
    Err(Error::new(format!(
        "invalid metric name {name:?}: allowed are letters, digits, '_' and ':', and no digit at the start"
    )))
}

/// Checks whether a label can have this name.
///
/// # Errors
///
/// If the name is empty, starts with a digit or `__`, has characters other than ASCII letters, digits and `_`,
/// or is `le` or `quantile`.
pub fn check_label_name(name: &str) -> Result<(), Error> {
    if is_label_name(name) && !is_reserved_label(name) {
        return Ok(());
    }
    Err(Error::new(format!(
        "invalid label name {name:?}: allowed are letters, digits and '_', no digit and no \"__\" at the start, \
         and neither \"le\" nor \"quantile\""
    )))
}

/// Returns an error if a constant label has an invalid name, or one that is in `taken`.
pub(crate) fn check_constant_label<'a>(
    name: &str,
    mut taken: impl Iterator<Item = &'a str>,
) -> Result<(), Error> {
    check_label_name(name)?;
    if taken.any(|other| other == name) {
        return Err(Error::new(format!(
            "label {name:?} is set twice, or is a standard label of the metric; use another name"
        )));
    }
    Ok(())
}

/// Whether a metric can have this name.
pub(crate) const fn is_metric_name(name: &str) -> bool {
    is_name(name, true)
}

/// Whether a label can have this name, apart from the [reserved](is_reserved_label) ones.
pub(crate) const fn is_label_name(name: &str) -> bool {
    is_name(name, false)
}

/// Whether Prometheus reserves a label name: names that start with `__` are internal, `le` and `quantile`
/// distinguish the samples of a histogram and a summary.
pub(crate) const fn is_reserved_label(name: &str) -> bool {
    matches!(name.as_bytes(), [b'_', b'_', ..] | b"le" | b"quantile")
}

const fn is_name(name: &str, colons: bool) -> bool {
    let name = name.as_bytes();
    let mut i = 0;
    while i < name.len() {
        if !is_allowed(i, name[i] as char, colons) {
            return false;
        }
        i += 1;
    }
    i > 0
}

pub(crate) const fn is_allowed(i: usize, c: char, colons: bool) -> bool {
    c == '_' || c.is_ascii_alphabetic() || (colons && c == ':') || (i > 0 && c.is_ascii_digit())
}

/// Makes a metric name valid: `my.counter` becomes `my_counter`, as in other exporters.
pub(crate) fn sanitize_metric_name(name: &str) -> String {
    sanitized(name, true)
}

/// Like [`sanitize_metric_name`], for the end of a name, which may start with a digit.
pub(crate) fn sanitize_metric_suffix(suffix: &str) -> String {
    let sanitize = |c| if is_allowed(1, c, true) { c } else { '_' };
    suffix.chars().map(sanitize).collect()
}

/// Whether [`sanitize_label_names`] would return the names unchanged.
pub(crate) fn are_valid_label_names<'a>(
    names: &(impl Iterator<Item = &'a str> + Clone),
    taken: &[(String, String)],
) -> bool {
    let is_free = |(i, name): (usize, &str)| {
        is_label_name(name)
            && !is_reserved_label(name)
            && names.clone().take(i).all(|before| before != name)
            && taken.iter().all(|(label, _)| label != name)
    };
    names.clone().enumerate().all(is_free)
}

/// Makes label names valid and different from each other and from `taken`.
pub(crate) fn sanitize_label_names<'a>(
    names: impl IntoIterator<Item = &'a str>,
    taken: &[(String, String)],
) -> Vec<String> {
    let mut names_so_far: Vec<String> = Vec::new();
    for name in names {
        let mut candidate = sanitized(name, false);
        let mut source = name.to_owned();
        while is_reserved_label(&candidate)
            || names_so_far.contains(&candidate)
            || taken.iter().any(|(label, _)| *label == candidate)
        {
            candidate = escaped_label_name(&source);
            source.clone_from(&candidate);
        }
        names_so_far.push(candidate);
    }
    names_so_far
}

/// Replaces every character that is not allowed by `_`.
fn sanitized(name: &str, colons: bool) -> String {
    if name.is_empty() {
        return "_".to_owned();
    }
    let sanitize = |(i, c)| if is_allowed(i, c, colons) { c } else { '_' };
    name.chars().enumerate().map(sanitize).collect()
}

/// Prometheus' escaping scheme `values`, which keeps different names different: `U__`, then `_` as
/// `__` and every other character that is not allowed as its code point, `_2e_`.
///
/// Source: Prometheus' "UTF-8 in metric and label names", escaping scheme `values`.
pub(crate) fn escaped_metric_name(name: &str) -> String {
    escaped(name, true)
}

/// Like [`escaped_metric_name`]; `:` is escaped too.
pub(crate) fn escaped_label_name(name: &str) -> String {
    escaped(name, false)
}

fn escaped(name: &str, colons: bool) -> String {
    let mut escaped = "U__".to_owned();
    for (i, c) in name.chars().enumerate() {
        match c {
            '_' => escaped.push_str("__"),
            c if is_allowed(i, c, colons) => escaped.push(c),
            c => {
                let _ = write!(escaped, "_{:x}_", u32::from(c));
            }
        }
    }
    escaped
}

/// Appends a label value with `\`, `"` and line feeds escaped, as the text formats and PromQL require.
pub fn escape_label_value(into: &mut String, value: &str) {
    // Most values need no escaping. Checking all bytes without an early exit vectorizes.
    let escapes = |found, b| found | matches!(b, b'\\' | b'"' | b'\n');
    if !value.bytes().fold(false, escapes) {
        return into.push_str(value);
    }
    for c in value.chars() {
        match c {
            '\\' => into.push_str(r"\\"),
            '"' => into.push_str(r#"\""#),
            '\n' => into.push_str(r"\n"),
            c => into.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sanitized_as_in_other_exporters() {
        for (name, expected) in [
            ("my.counter", "my_counter"),
            ("9lives", "_lives"),
            ("a:b", "a:b"),
            ("größe", "gr__e"),
            ("", "_"),
        ] {
            assert_eq!(sanitize_metric_name(name), expected);
        }
    }

    #[test]
    fn escaping_follows_prometheus() {
        assert_eq!(
            escaped_metric_name("mysystem.prod.west"),
            "U__mysystem_2e_prod_2e_west"
        );
        assert_eq!(escaped_metric_name("a_b:c"), "U__a__b:c");
        assert_eq!(escaped_label_name("a_b:c"), "U__a__b_3a_c");
    }

    #[test]
    fn label_names_never_collide() {
        let taken = [("service".to_owned(), "shop".to_owned())];
        let names = ["a.b", "a_b", "a-b", "a_b", "service", "le", "__name__"];
        let sanitized = sanitize_label_names(names, &taken);
        let distinct: std::collections::BTreeSet<_> = sanitized.iter().collect();
        assert_eq!(distinct.len(), names.len(), "{sanitized:?}");
        for name in &sanitized {
            check_label_name(name).unwrap();
        }
        assert_eq!(sanitized[..2], ["a_b", "U__a__b"]);
        assert!(are_valid_label_names(&["a_b", "c"].into_iter(), &taken));
        for names in [
            ["a.b", "c"],
            ["c", "c"],
            ["c", "service"],
            ["c", "le"],
            ["c", ""],
        ] {
            assert!(
                !are_valid_label_names(&names.into_iter(), &taken),
                "{names:?}"
            );
        }
    }
}
