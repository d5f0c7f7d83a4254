//! [`Selector`]: series of a metric family, checked against the definitions while it becomes PromQL.

use std::fmt::Write;

use tower_prometheus::model::MetricKind;
use tower_prometheus::model::names::escape_label_value;

use crate::definitions::{FamilyIndex, IndexedFamily};
use crate::error::Error;
use crate::text::{LabelNames, check_duration, quoted_list};

/// What a query is checked against, and what every selector in it gets.
#[derive(Clone, Debug)]
pub(crate) struct QueryScope<'a> {
    pub(crate) index: &'a FamilyIndex,
    /// Added to every selector whose family has the label.
    pub(crate) common_matchers: &'a [Matcher],
    /// The range of a rate that does not set one.
    pub(crate) default_range: &'a str,
}

/// The range of a rate in rules, unless set: several scrapes at any usual interval.
pub(crate) const RULE_RANGE: &str = "5m";

/// Series of a metric family.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Selector {
    pub(crate) family: String,
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) range: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Matcher {
    pub(crate) label: String,
    pub(crate) value: MatchValue,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum MatchValue {
    Equal(String),
    NotEqual(String),
    Regex(String),
    NotRegex(String),
}

impl Selector {
    pub(crate) fn new(family: impl Into<String>) -> Self {
        Self {
            family: family.into(),
            matchers: Vec::new(),
            range: None,
        }
    }

    /// `name{…}`, with `extra` as an additional matcher.
    pub(crate) fn instant(
        &self,
        scope: &QueryScope<'_>,
        suffix: &str,
        extra: &str,
    ) -> Result<String, Error> {
        let family = scope.index.family(&self.family)?;
        let name = format!("{}{suffix}", self.family);
        let matchers = matchers(&self.family, family, &self.matchers, scope, extra)?;
        Ok(name + &matchers)
    }

    /// `name{…}[…]`.
    pub(crate) fn ranged(
        &self,
        scope: &QueryScope<'_>,
        suffix: &str,
        extra: &str,
    ) -> Result<String, Error> {
        let range = self.range.as_deref().unwrap_or(scope.default_range);
        if self.range.is_some() {
            check_duration(range)?;
        }
        Ok(format!("{}[{range}]", self.instant(scope, suffix, extra)?))
    }

    /// `sum by (…) (rate(name{…}[…]))`.
    pub(crate) fn summed_rate(
        &self,
        scope: &QueryScope<'_>,
        (suffix, extra): (&str, &str),
        by: &[String],
    ) -> Result<String, Error> {
        let rate = format!("rate({})", self.ranged(scope, suffix, extra)?);
        Ok(aggregated("sum", by, "", &rate))
    }

    /// Refuses labels that the family does not have.
    pub(crate) fn check_by(
        &self,
        family: &IndexedFamily,
        by: &[String],
    ) -> Result<LabelNames, Error> {
        let labels = family.label_names();
        match by.iter().find(|label| !labels.contains(*label)) {
            None => Ok(by.iter().cloned().collect()),
            Some(label) => Err(no_such_label(&self.family, label, &labels)),
        }
    }

    /// The family, if it is a histogram; `what` names what only a histogram has.
    pub(crate) fn histogram<'a>(
        &self,
        scope: &QueryScope<'a>,
        what: &str,
    ) -> Result<&'a IndexedFamily, Error> {
        let family = scope.index.family(&self.family)?;
        if family.kind == MetricKind::Histogram {
            return Ok(family);
        }
        Err(wrong_kind(
            &self.family,
            family,
            what,
            "only a histogram has one",
        ))
    }
}

/// `{label="value",…}` with the matchers of the scope; nothing if there is nothing to match.
pub(crate) fn matchers(
    name: &str,
    family: &IndexedFamily,
    own: &[Matcher],
    scope: &QueryScope<'_>,
    extra: &str,
) -> Result<String, Error> {
    let mut parts = Vec::new();
    for matcher in own {
        matcher.check(name, family)?;
        parts.push(matcher.to_promql());
    }
    // Recorded series have only the labels that their rule keeps.
    let common = scope.common_matchers.iter();
    let common = common.filter(|matcher| family.labels.contains_key(&matcher.label));
    parts.extend(common.map(Matcher::to_promql));
    if !extra.is_empty() {
        parts.push(extra.to_owned());
    }
    Ok(match parts.is_empty() {
        true => String::new(),
        false => format!("{{{}}}", parts.join(",")),
    })
}

impl Matcher {
    fn check(&self, name: &str, family: &IndexedFamily) -> Result<(), Error> {
        let Some(values) = family.labels.get(&self.label) else {
            return Err(no_such_label(name, &self.label, &family.label_names()));
        };
        match (&self.value, values) {
            (MatchValue::Equal(value) | MatchValue::NotEqual(value), Some(values))
                if !values.contains(value) =>
            {
                Err(Error::new(format!(
                    "label {:?} of {name:?} is never {value:?}; its values are {}",
                    self.label,
                    quoted_list(values),
                )))
            }
            _ => Ok(()),
        }
    }

    fn to_promql(&self) -> String {
        let (operator, value) = match &self.value {
            MatchValue::Equal(value) => ("=", value),
            MatchValue::NotEqual(value) => ("!=", value),
            MatchValue::Regex(value) => ("=~", value),
            MatchValue::NotRegex(value) => ("!~", value),
        };
        let mut text = format!("{}{operator}\"", self.label);
        escape_label_value(&mut text, value);
        text.push('"');
        text
    }
}

/// `sum by (…) (…)`.
pub(crate) fn aggregated(function: &str, by: &[String], parameter: &str, of: &str) -> String {
    match by {
        [] => format!("{function}({parameter}{of})"),
        by => format!("{function} by ({}) ({parameter}{of})", by.join(", ")),
    }
}

/// The matcher of a bucket, in every spelling of its bound: a whole bound is `1` in the text format and
/// `1.0` in OpenMetrics, and Prometheus 3 rewrites large and small bounds as Go prints them.
pub(crate) fn le_matcher(bound: f64) -> String {
    let plain = bound.to_string();
    let mut spellings = vec![plain.clone()];
    if bound.fract() == 0.0 {
        spellings.push(format!("{plain}[.]0"));
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
            spellings.extend([short, go]);
        }
    }
    match &*spellings {
        [only] => format!("le=\"{only}\""),
        _ => {
            spellings[0] = plain.replace('.', "[.]");
            format!("le=~\"{}\"", spellings.join("|"))
        }
    }
}

/// Refuses a bound that no bucket has: the fraction below it could only be estimated.
pub(crate) fn check_bound(name: &str, bound: f64, buckets: &[f64]) -> Result<(), Error> {
    if buckets.contains(&bound) {
        return Ok(());
    }
    let below = buckets.iter().rev().find(|b| **b < bound);
    let above = buckets.iter().find(|b| **b > bound);
    let near: Vec<_> = below.into_iter().chain(above).map(f64::to_string).collect();
    Err(Error::new(format!(
        "{bound} is not a bucket bound of {name:?}; the nearest {} {}",
        if near.len() == 1 { "is" } else { "are" },
        near.join(" and "),
    )))
}

pub(crate) fn no_such_label(name: &str, label: &str, labels: &LabelNames) -> Error {
    Error::new(format!(
        "{name:?} has no label {label:?}; its labels are {}",
        quoted_list(labels)
    ))
}

pub(crate) fn wrong_kind(name: &str, family: &IndexedFamily, what: &str, instead: &str) -> Error {
    let kind = family.kind.as_str();
    Error::new(format!("{kind} {name:?} has no {what}: {instead}"))
}
