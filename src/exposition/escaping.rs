//! [`EscapingScheme`] and [`FamilyNames`]: names with characters other than letters, digits, `_` and `:`, as a scraper
//! can take them.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::model::label_text::label_pairs;
use crate::model::names::{
    escape_label_value, escaped_label_name, escaped_metric_name, is_allowed, is_label_name,
    is_metric_name,
};
use crate::registry::family::Family;
use crate::registry::snapshot::Snapshot;
use crate::registry::utf8_names::RenamedLabel;

/// How a scraper wants names that need UTF-8.
///
/// Source: Prometheus' "UTF-8 metric and label name escaping schemes".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EscapingScheme {
    AllowUtf8,
    /// The exported names, in which other characters are replaced by `_`.
    Underscores,
    Dots,
    Values,
}

impl EscapingScheme {
    const ALL: [Self; 4] = [Self::AllowUtf8, Self::Underscores, Self::Dots, Self::Values];

    /// Returns the scheme with this name. Scrapers that ask for an unknown one get underscores, as those that ask for
    /// none.
    pub(crate) fn named(name: &str) -> Self {
        let scheme = Self::ALL.into_iter().find(|scheme| scheme.name() == name);
        scheme.unwrap_or(Self::Underscores)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AllowUtf8 => "allow-utf-8",
            Self::Underscores => "underscores",
            Self::Dots => "dots",
            Self::Values => "values",
        }
    }
}

/// The names of a family that differ from the exported ones in the scheme of a page.
pub(crate) struct FamilyNames {
    scheme: EscapingScheme,
    metric: String,
}

/// The names of samples that are already on a page in the scheme `dots`, in which different names can become equal.
pub(crate) type UsedNames = HashSet<String>;

impl FamilyNames {
    /// Returns the names of a family; `None` if all of them are the exported ones.
    pub(crate) fn new(
        family: &Family,
        scheme: Option<EscapingScheme>,
        snapshot: &Snapshot,
        used: &mut UsedNames,
    ) -> Option<Self> {
        let scheme = scheme.filter(|scheme| *scheme != EscapingScheme::Underscores)?;
        let utf8 = family.utf8_names().filter(|names| !names.is_empty())?;
        let escaped = utf8.metric().map(|name| match scheme {
            EscapingScheme::AllowUtf8 | EscapingScheme::Underscores => name.to_owned(),
            EscapingScheme::Dots => with_dots(name, true),
            EscapingScheme::Values => escaped_metric_name(name),
        });
        let sample_names = |name: &str| family.instrument.kind().sample_names(name);
        let is_free = |name: &String| {
            let names = sample_names(name);
            let mut names = names.iter();
            names.all(|name| !snapshot.has_name(name) && !used.contains(name))
        };
        let metric = escaped.filter(is_free);
        if let (EscapingScheme::Dots, Some(name)) = (scheme, &metric) {
            used.extend(sample_names(name));
        }
        Some(Self {
            scheme,
            metric: metric.unwrap_or_else(|| family.name.clone()),
        })
    }

    /// Returns the name of the metric.
    pub(crate) fn metric(&self) -> &str {
        &self.metric
    }

    /// Returns the prefix of the lines of a series, whose prefix with the exported names is `exported`.
    pub(crate) fn prefix(&self, family: &Family, exported: &str) -> String {
        let exported = family.labels_of(exported);
        let mut labels = String::with_capacity(2 * exported.len());
        let names = self.label_names(family, exported);
        for (name, (_, value)) in names.iter().zip(label_pairs(exported)) {
            if !labels.is_empty() {
                labels.push(',');
            }
            push_name(&mut labels, name, !is_label_name(name));
            labels.extend(["=\"", value, "\""]);
        }
        if family.instrument.kind().has_suffixes() {
            return labels;
        }
        let name = SampleName::new(&self.metric);
        let (open, close) = name.braces(!labels.is_empty());
        [&*name.text, open, &labels, close].concat()
    }

    /// Returns the names of the labels of a series, whose labels with the exported names are `exported`.
    pub(crate) fn label_names<'a>(&self, family: &Family, exported: &'a str) -> Vec<Cow<'a, str>> {
        let mut names: Vec<Cow<'a, str>> =
            label_pairs(exported).map(|(name, _)| name.into()).collect();
        let renamed = family.utf8_names().and_then(|names| names.labels(exported));
        for RenamedLabel { exported, utf8 } in renamed.iter().flat_map(|labels| &**labels) {
            let name = match self.scheme {
                EscapingScheme::AllowUtf8 | EscapingScheme::Underscores => utf8.to_string(),
                EscapingScheme::Dots => with_dots(utf8, false),
                EscapingScheme::Values => escaped_label_name(utf8),
            };
            let is_taken = names.iter().any(|other| *other == name);
            if let Some(own) = names.iter_mut().find(|own| **own == **exported)
                && !is_taken
            {
                *own = name.into();
            }
        }
        names
    }
}

/// The name of samples at the start of a line: `name`, or `{"na.me"` if it needs quotes.
#[derive(Default)]
pub(crate) struct SampleName {
    pub(crate) text: String,
    is_quoted: bool,
}

impl SampleName {
    pub(crate) fn new(name: &str) -> Self {
        let is_quoted = !is_metric_name(name);
        let mut text = String::with_capacity(name.len() + 3);
        if is_quoted {
            text.push('{');
        }
        push_name(&mut text, name, is_quoted);
        Self { text, is_quoted }
    }

    /// Returns what stands between the name and the labels, and between the labels and the value.
    pub(crate) fn braces(&self, has_labels: bool) -> (&'static str, &'static str) {
        match (self.is_quoted, has_labels) {
            (false, false) => ("", " "),
            (false, true) => ("{", "} "),
            (true, false) => ("", "} "),
            (true, true) => (",", "} "),
        }
    }

    /// Returns the labels in a line that starts with this name and ends before the value.
    pub(crate) fn labels_in<'a>(&self, prefix: &'a str) -> &'a str {
        prefix[self.text.len()..].trim_matches(['{', ',', '}', ' '])
    }
}

/// Returns the name of a family in a TYPE, HELP or UNIT line.
pub(crate) fn family_name(name: &str) -> Cow<'_, str> {
    if is_metric_name(name) {
        return name.into();
    }
    let mut quoted = String::new();
    push_name(&mut quoted, name, true);
    quoted.into()
}

fn push_name(text: &mut String, name: &str, is_quoted: bool) {
    if !is_quoted {
        return text.push_str(name);
    }
    text.push('"');
    escape_label_value(text, name);
    text.push('"');
}

/// Escapes a name by the scheme `dots`. The names of metrics may have colons.
fn with_dots(name: &str, colons: bool) -> String {
    let mut escaped = String::with_capacity(2 * name.len());
    for (i, c) in name.chars().enumerate() {
        match c {
            '.' => escaped.push_str("_dot_"),
            '_' => escaped.push_str("__"),
            c if is_allowed(i, c, colons) => escaped.push(c),
            _ => escaped.push('_'),
        }
    }
    escaped
}
