//! [`Selector`]: series of a family, checked against what is defined while they are written as PromQL.

use std::fmt::Write;

use super::definitions::Entry;
use super::expression::Place;
use super::query::Labels;
use crate::Error;
use crate::app::FamilyKind;
use crate::registry::escape_label_value;

/// Series of a family.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Selector {
    pub(super) family: String,
    pub(super) matchers: Vec<Matcher>,
    pub(super) window: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Matcher {
    pub(super) label: String,
    pub(super) value: Match,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Match {
    Is(String),
    IsNot(String),
    Like(String),
    Unlike(String),
}

impl Selector {
    pub(super) fn new(family: impl Into<String>) -> Self {
        Self {
            family: family.into(),
            matchers: Vec::new(),
            window: None,
        }
    }

    /// `name{…}`, with `extra` as one matcher more.
    pub(super) fn written(
        &self,
        place: &Place<'_>,
        suffix: &str,
        extra: &str,
    ) -> Result<String, Error> {
        let entry = place.known.family(&self.family)?;
        let name = format!("{}{suffix}", self.family);
        let text = matchers(&self.family, entry, &self.matchers, place, extra)?;
        Ok(name + &text)
    }

    /// `name{…}[…]`.
    pub(super) fn ranged(
        &self,
        place: &Place<'_>,
        suffix: &str,
        extra: &str,
    ) -> Result<String, Error> {
        let window = self.window.as_deref().unwrap_or(place.window);
        if self.window.is_some() {
            check_duration(window)?;
        }
        Ok(format!("{}[{window}]", self.written(place, suffix, extra)?))
    }

    /// `sum by (…) (rate(name{…}[…]))`.
    pub(super) fn summed_rate(
        &self,
        place: &Place<'_>,
        (suffix, extra): (&str, &str),
        by: &[String],
    ) -> Result<String, Error> {
        let rate = format!("rate({})", self.ranged(place, suffix, extra)?);
        Ok(aggregated("sum", by, "", &rate))
    }

    /// Refuses labels that the family does not have.
    pub(super) fn check_by(&self, entry: &Entry, by: &[String]) -> Result<Labels, Error> {
        let has = entry.label_names();
        match by.iter().find(|label| !has.contains(*label)) {
            None => Ok(by.iter().cloned().collect()),
            Some(label) => Err(no_label(&self.family, label, &has)),
        }
    }

    pub(super) fn histogram<'a>(&self, place: &Place<'a>, what: &str) -> Result<&'a Entry, Error> {
        let entry = place.known.family(&self.family)?;
        if entry.kind == FamilyKind::Histogram {
            return Ok(entry);
        }
        Err(wrong_kind(&self.family, entry, what, "a histogram has one"))
    }
}

/// `{label="value",…}` with what the place adds; nothing if there is nothing to match.
pub(super) fn matchers(
    family: &str,
    entry: &Entry,
    own: &[Matcher],
    place: &Place<'_>,
    extra: &str,
) -> Result<String, Error> {
    let mut parts = Vec::new();
    for matcher in own {
        matcher.check(family, entry)?;
        parts.push(matcher.written());
    }
    // What a rule records has lost the labels that it was not kept by.
    let everywhere = place.everywhere.iter();
    let everywhere = everywhere.filter(|matcher| entry.labels.contains_key(&matcher.label));
    parts.extend(everywhere.map(Matcher::written));
    if !extra.is_empty() {
        parts.push(extra.to_owned());
    }
    Ok(match parts.is_empty() {
        true => String::new(),
        false => format!("{{{}}}", parts.join(",")),
    })
}

impl Matcher {
    fn check(&self, family: &str, entry: &Entry) -> Result<(), Error> {
        let Some(values) = entry.labels.get(&self.label) else {
            return Err(no_label(family, &self.label, &entry.label_names()));
        };
        match (&self.value, values) {
            (Match::Is(value) | Match::IsNot(value), Some(values)) if !values.contains(value) => {
                Err(Error::new(format!(
                    "label {:?} of {family:?} is never {value:?}; it is one of {}",
                    self.label,
                    listed(values),
                )))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn written(&self) -> String {
        let (operator, value) = match &self.value {
            Match::Is(value) => ("=", value),
            Match::IsNot(value) => ("!=", value),
            Match::Like(value) => ("=~", value),
            Match::Unlike(value) => ("!~", value),
        };
        let mut text = format!("{}{operator}\"", self.label);
        escape_label_value(&mut text, value);
        text.push('"');
        text
    }
}

/// `sum by (…) (…)`.
pub(super) fn aggregated(name: &str, by: &[String], parameter: &str, of: &str) -> String {
    match by {
        [] => format!("{name}({parameter}{of})"),
        by => format!("{name} by ({}) ({parameter}{of})", by.join(", ")),
    }
}

/// The bucket of a bound. A whole bound is `1` in the text format and `1.0` in OpenMetrics, and large or
/// small ones are rewritten by Prometheus 3 as Go prints them; a rule must find them all.
pub(super) fn le_matcher(bound: f64) -> String {
    let plain = bound.to_string();
    let mut forms = vec![plain.clone()];
    if bound.fract() == 0.0 {
        forms.push(format!("{plain}[.]0"));
    }
    if bound != 0.0 && !(1e-4..1e6).contains(&bound.abs()) {
        let exponential = format!("{bound:e}");
        if let Some((digits, exponent)) = exponential.split_once('e') {
            let (sign, exponent) = match exponent.strip_prefix('-') {
                Some(exponent) => ("-", exponent),
                None => ("[+]", exponent),
            };
            let short = exponential.replace('.', "[.]");
            let mut go = digits.replace('.', "[.]");
            let _ = write!(go, "e{sign}{exponent:0>2}");
            forms.extend([short, go]);
        }
    }
    match &*forms {
        [only] => format!("le=\"{only}\""),
        _ => {
            forms[0] = plain.replace('.', "[.]");
            format!("le=~\"{}\"", forms.join("|"))
        }
    }
}

/// Refuses a bound that is no bucket's: the share within it would have to be guessed.
pub(super) fn check_bound(family: &str, bound: f64, buckets: &[f64]) -> Result<(), Error> {
    if buckets.contains(&bound) {
        return Ok(());
    }
    let below = buckets.iter().rev().find(|b| **b < bound);
    let above = buckets.iter().find(|b| **b > bound);
    let near: Vec<_> = below.into_iter().chain(above).map(f64::to_string).collect();
    Err(Error::new(format!(
        "{bound} is not a bucket bound of {family:?}: the nearest {} {}",
        if near.len() == 1 { "is" } else { "are" },
        near.join(" and "),
    )))
}

/// Refuses what Prometheus does not read as a duration.
pub(super) fn check_duration(duration: &str) -> Result<(), Error> {
    const UNITS: [&str; 7] = ["y", "w", "d", "h", "m", "s", "ms"];
    let mut rest = duration;
    let mut units = UNITS.iter();
    let mut is_duration = !rest.is_empty();
    while is_duration && !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = rest.split_at(digits);
        let end = tail.find(|c: char| c.is_ascii_digit());
        let (unit, after) = tail.split_at(end.unwrap_or(tail.len()));
        // From the largest unit to the smallest, each at most once.
        is_duration =
            number.bytes().any(|digit| digit != b'0') && units.any(|known| *known == unit);
        rest = after;
    }
    if is_duration {
        return Ok(());
    }
    Err(Error::new(format!(
        "{duration:?} is no duration: it is a number and one of {}, as in \"5m\" or \"1h30m\"",
        listed(UNITS),
    )))
}

pub(super) fn no_label(family: &str, label: &str, has: &Labels) -> Error {
    Error::new(format!(
        "label {label:?} is asked for, which {family:?} does not have; it has {}",
        listed(has)
    ))
}

pub(super) fn wrong_kind(family: &str, entry: &Entry, what: &str, instead: &str) -> Error {
    let kind = format!("{:?}", entry.kind).to_lowercase();
    Error::new(format!(
        "{kind} {family:?} is asked for {what}, which it does not have: {instead}"
    ))
}

/// `"a", "b" and "c"` without the fuss: names in quotes, or `none`.
pub(super) fn listed<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<_> = names
        .into_iter()
        .map(|n| format!("{:?}", n.as_ref()))
        .collect();
    match names.is_empty() {
        true => "none".to_owned(),
        false => names.join(", "),
    }
}
