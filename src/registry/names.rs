//! What Prometheus can read: checking names where they are defined, mending those that come from
//! macros, escaping label values.

use std::fmt::Write;

use crate::Error;

/// Checks that a metric name is valid: `[a-zA-Z_:][a-zA-Z0-9_:]*`.
///
/// Colons are for series that recording rules write: layers and catalogues do not use them.
///
/// # Errors
///
/// Returns an error that states the name and the grammar if the name is not valid.
pub fn check_metric_name(name: &str) -> Result<(), Error> {
    if is_metric_name(name) {
        return Ok(());
    }
    Err(Error::new(format!(
        "metric name {name:?} is not allowed: a name is letters, digits, '_' and ':', and does not start with a digit"
    )))
}

/// Checks that a label name is valid and not reserved: `[a-zA-Z_][a-zA-Z0-9_]*`.
///
/// Reserved are names that start with `__`, which Prometheus uses internally, and `le` and `quantile`,
/// which histograms and summaries use.
///
/// # Errors
///
/// Returns an error that states the name and the grammar if the name is not valid or reserved.
pub fn check_label_name(name: &str) -> Result<(), Error> {
    if is_free_label_name(name) {
        return Ok(());
    }
    Err(Error::new(format!(
        "label name {name:?} is not allowed: a name is letters, digits and '_', does not start with a digit, \
         nor with \"__\", and is neither \"le\" nor \"quantile\""
    )))
}

fn is_metric_name(name: &str) -> bool {
    is_allowed_name(name, true)
}

fn is_free_label_name(name: &str) -> bool {
    is_allowed_name(name, false) && !is_reserved(name)
}

/// Label names with a meaning of their own: Prometheus' internal ones, and what tells the buckets of
/// a histogram and the quantiles of a summary apart.
fn is_reserved(label: &str) -> bool {
    label.starts_with("__") || label == "le" || label == "quantile"
}

/// A metric name that can be read: `my.counter` is `my_counter`, as other exporters write it.
pub(super) fn mend_metric_name(name: &str) -> String {
    mended(name, true)
}

/// Whether label names can stay as they are: what [`mend_label_names`] gives back unchanged.
pub(super) fn are_sound_label_names<'a>(
    names: &(impl Iterator<Item = &'a str> + Clone),
    taken: &[(String, String)],
) -> bool {
    let is_free = |(i, name): (usize, &str)| {
        is_allowed_name(name, false)
            && !is_reserved(name)
            && names.clone().take(i).all(|before| before != name)
            && taken.iter().all(|(label, _)| label != name)
    };
    names.clone().enumerate().all(is_free)
}

/// Label names that can be read and differ from each other and from `taken`.
pub(super) fn mend_label_names<'a>(
    names: impl IntoIterator<Item = &'a str>,
    taken: &[(String, String)],
) -> Vec<String> {
    let mut mended_names: Vec<String> = Vec::new();
    for name in names {
        let mut candidate = mended(name, false);
        let mut source = name.to_owned();
        while is_reserved(&candidate)
            || mended_names.contains(&candidate)
            || taken.iter().any(|(label, _)| *label == candidate)
        {
            candidate = escaped_label_name(&source);
            source.clone_from(&candidate);
        }
        mended_names.push(candidate);
    }
    mended_names
}

/// Replaces every character that is not allowed by `_`.
fn mended(name: &str, colons: bool) -> String {
    if name.is_empty() {
        return "_".to_owned();
    }
    let mend = |(i, c)| if is_allowed(i, c, colons) { c } else { '_' };
    name.chars().enumerate().map(mend).collect()
}

fn is_allowed_name(name: &str, colons: bool) -> bool {
    let mut chars = name.chars().enumerate();
    !name.is_empty() && chars.all(|(i, c)| is_allowed(i, c, colons))
}

fn is_allowed(i: usize, c: char, colons: bool) -> bool {
    c == '_' || c.is_ascii_alphabetic() || (colons && c == ':') || (i > 0 && c.is_ascii_digit())
}

/// Prometheus' own escaping of names, which keeps different names different: `U__`, then `_` as
/// `__` and every character that is not allowed as its code point, `_2e_`.
///
/// Source: Prometheus' "UTF-8 in metric and label names", escaping scheme `values`.
pub(super) fn escaped_metric_name(name: &str) -> String {
    escaped(name, true)
}

/// As [`escaped_metric_name`], without the colon.
pub(super) fn escaped_label_name(name: &str) -> String {
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

/// Appends a label value to `into`, with `\`, `"` and line feeds escaped by a backslash.
///
/// Both exposition formats and PromQL read the result between double quotes as the original value.
///
/// ```
/// let mut matcher = "path=\"".to_owned();
/// tower_prometheus::names::escape_label_value(&mut matcher, r"C:\logs");
/// matcher.push('"');
/// assert_eq!(matcher, r#"path="C:\\logs""#);
/// ```
pub fn escape_label_value(into: &mut String, value: &str) {
    // Most values need nothing. All bytes are looked at, many at a time, rather than one by one to the first.
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
    fn names_are_mended_as_other_exporters_do() {
        for (name, expected) in [
            ("my.counter", "my_counter"),
            ("9lives", "_lives"),
            ("a:b", "a:b"),
            ("größe", "gr__e"),
            ("", "_"),
        ] {
            assert_eq!(mend_metric_name(name), expected);
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
        let mended = mend_label_names(names, &taken);
        let distinct: std::collections::BTreeSet<_> = mended.iter().collect();
        assert_eq!(distinct.len(), names.len(), "{mended:?}");
        for name in &mended {
            check_label_name(name).unwrap();
        }
        assert_eq!(mended[..2], ["a_b", "U__a__b"]);
        assert!(are_sound_label_names(&["a_b", "c"].into_iter(), &taken));
        for names in [
            ["a.b", "c"],
            ["c", "c"],
            ["c", "service"],
            ["c", "le"],
            ["c", ""],
        ] {
            assert!(
                !are_sound_label_names(&names.into_iter(), &taken),
                "{names:?}"
            );
        }
    }
}
