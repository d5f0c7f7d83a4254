//! Reads the text that `prometheus-client` writes: OpenMetrics without timestamps.
//!
//! It is strict: a line that the encoder does not write is an error.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// A metric family. Its samples are in the order of the text.
#[derive(Debug)]
pub(crate) struct Family<'a> {
    pub(crate) name: &'a str,
    pub(crate) help: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) unit: Option<&'a str>,
    pub(crate) samples: Vec<Sample<'a>>,
}

/// A sample. Exemplars are left out.
#[derive(Debug)]
pub(crate) struct Sample<'a> {
    /// The part of its name after that of the family, such as `_total`.
    pub(crate) suffix: &'a str,
    pub(crate) labels: Labels<'a>,
    pub(crate) value: &'a str,
}

pub(crate) type Labels<'a> = Vec<(&'a str, Cow<'a, str>)>;

/// Returns the families in the order of the text. Families with the same name become one.
///
/// # Errors
///
/// If a line cannot be read, or if families with the same name differ in type, HELP text or unit.
pub(crate) fn parse(text: &str) -> Result<Vec<Family<'_>>, String> {
    let mut families = Vec::new();
    for (i, line) in text.split_terminator('\n').enumerate() {
        add_line(line, &mut families).map_err(|reason| {
            format!("line {} of the registry's text {line:?}: {reason}", i + 1)
        })?;
    }
    merged(families)
}

fn add_line<'a>(line: &'a str, families: &mut Vec<Family<'a>>) -> Result<(), &'static str> {
    if let Some(text) = line.strip_prefix("# HELP ") {
        let (name, help) = text.split_once(' ').ok_or("the HELP text is missing")?;
        families.push(Family {
            name,
            // The encoder does not escape it.
            help,
            kind: "",
            unit: None,
            samples: Vec::new(),
        });
        return Ok(());
    }
    let family = families.last_mut().ok_or("no HELP line before it")?;
    if let Some(text) = line.strip_prefix("# TYPE ") {
        let kind = of_family(text, family.name)?;
        if !family.kind.is_empty() {
            return Err("a second TYPE line");
        }
        if kind.contains(' ') {
            return Err("a space in the name or the type");
        }
        family.kind = kind;
        return Ok(());
    }
    if let Some(text) = line.strip_prefix("# UNIT ") {
        family.unit = Some(of_family(text, family.name)?);
        return Ok(());
    }
    if family.kind.is_empty() {
        return Err("no TYPE line before it");
    }
    family.samples.push(sample(line, family.name)?);
    Ok(())
}

/// Returns what follows the name of the family.
fn of_family<'a>(text: &'a str, name: &str) -> Result<&'a str, &'static str> {
    let rest = text
        .strip_prefix(name)
        .and_then(|rest| rest.strip_prefix(' '));
    rest.ok_or("not the name of the HELP line")
}

fn sample<'a>(line: &'a str, family: &str) -> Result<Sample<'a>, &'static str> {
    let rest = line
        .strip_prefix(family)
        .ok_or("not a sample of the metric before it")?;
    let name_end = rest.find(['{', ' ']).ok_or("no value")?;
    let (suffix, rest) = rest.split_at(name_end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Vec::new(), rest),
    };
    let value = rest.strip_prefix(' ').ok_or("no value")?;
    let value = value
        .split_once(" # {")
        .map_or(value, |(value, _exemplar)| value);
    Ok(Sample {
        suffix,
        labels,
        value,
    })
}

/// Reads labels up to `}`. Returns them and the rest of the line.
fn labels(mut text: &str) -> Result<(Labels<'_>, &str), &'static str> {
    let mut labels = Vec::new();
    loop {
        if let Some(rest) = text.strip_prefix('}') {
            return Ok((labels, rest));
        }
        let (name, rest) = text.split_once("=\"").ok_or("a label without a value")?;
        let (value, rest) = label_value(rest)?;
        labels.push((name, value));
        text = match rest.strip_prefix(',') {
            // The encoder writes a comma before an empty set of labels, so it can be the last character.
            Some(rest) => rest,
            None if rest.starts_with('}') => rest,
            None => return Err("neither ',' nor '}' after a label"),
        };
    }
}

/// Reads a label value up to its closing `"`. Returns it without escapes, and the rest of the line.
fn label_value(text: &str) -> Result<(Cow<'_, str>, &str), &'static str> {
    let mut unescaped = String::new();
    // The start of the part that is not in `unescaped` yet.
    let mut start = 0;
    let mut chars = text.char_indices();
    while let Some((i, c)) = chars.next() {
        match c {
            '"' if unescaped.is_empty() && start == 0 => {
                return Ok((text[..i].into(), &text[i + 1..]));
            }
            '"' => {
                unescaped.push_str(&text[start..i]);
                return Ok((unescaped.into(), &text[i + 1..]));
            }
            '\\' => {
                unescaped.push_str(&text[start..i]);
                let (_, escaped) = chars.next().ok_or("a label value without its end")?;
                unescaped.push(match escaped {
                    'n' => '\n',
                    '\\' | '"' => escaped,
                    _ => return Err("an unknown escape in a label value"),
                });
                // All three are one byte long.
                start = i + 2;
            }
            _ => {}
        }
    }
    Err("a label value without its end")
}

/// Merges families with the same name.
fn merged(families: Vec<Family<'_>>) -> Result<Vec<Family<'_>>, String> {
    let mut merged: Vec<Family<'_>> = Vec::with_capacity(families.len());
    let mut by_name = HashMap::new();
    for family in families {
        let known = match by_name.entry(family.name) {
            Entry::Occupied(known) => &mut merged[*known.get()],
            Entry::Vacant(free) => {
                free.insert(merged.len());
                merged.push(family);
                continue;
            }
        };
        let (kind, help, unit) = (known.kind, known.help, known.unit);
        if (kind, help, unit) != (family.kind, family.help, family.unit) {
            return Err(format!(
                "metric {:?} is registered twice, as {} and as {}; use the same type, HELP text and unit, or another \
                 name",
                known.name,
                known.description(),
                family.description()
            ));
        }
        known.samples.extend(family.samples);
    }
    Ok(merged)
}

impl Family<'_> {
    /// Returns the type, the HELP text and the unit for a message.
    fn description(&self) -> String {
        let Self {
            kind, help, unit, ..
        } = self;
        let unit = unit.map_or(String::new(), |unit| format!(" in {unit}"));
        format!("{kind}{unit} with the HELP text {help:?}")
    }
}
