//! [`Selector`]: a metric family with matchers, and its PromQL.

use std::fmt::Write;

use tower_prometheus::model::MetricKind;
use tower_prometheus::model::names::escape_label_value;

use crate::definitions::{FamilyIndex, IndexedFamily};
use crate::error::Error;
use crate::pattern::check_pattern;
use crate::text::{LabelNames, check_duration, quoted_list};

/// The definitions that a query is checked against, and the settings of its place: a dashboard or rules.
#[derive(Clone, Debug)]
pub(crate) struct QueryScope<'a> {
    pub(crate) index: &'a FamilyIndex,
    /// Added to every selector whose family has the label.
    pub(crate) common_matchers: &'a [Matcher],
    /// The range of rates and increases that do not set one.
    pub(crate) default_range: &'a str,
}

/// The default range in rules. It contains several scrapes at any usual scrape interval.
pub(crate) const RULE_RANGE: &str = "5m";

/// A metric family with matchers and a range.
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

    /// Returns `name{…}`. `extra` is an additional matcher in PromQL, or empty.
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

    /// Returns `name{…}[…]`.
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

    /// Returns `sum by (…) (rate(name{…}[…]))`.
    pub(crate) fn summed_rate(
        &self,
        scope: &QueryScope<'_>,
        (suffix, extra): (&str, &str),
        by: &[String],
    ) -> Result<String, Error> {
        let rate = format!("rate({})", self.ranged(scope, suffix, extra)?);
        Ok(aggregated("sum", by, "", &rate))
    }

    /// Returns an error if the family does not have one of the labels.
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

    /// Returns the family if it is a histogram, else an error that the family has no `what`.
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

/// Returns `{label="value",…}` with the selector's matchers and those of the scope, or an empty text without matchers.
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
    for common in common_matchers(own, family, scope) {
        common.check_possible_with(name, own)?;
        parts.push(common.to_promql());
    }
    if !extra.is_empty() {
        parts.push(extra.to_owned());
    }
    Ok(match parts.is_empty() {
        true => String::new(),
        false => format!("{{{}}}", parts.join(",")),
    })
}

/// Returns the matchers of the scope that are added to a selector.
fn common_matchers<'a>(
    own: &'a [Matcher],
    family: &'a IndexedFamily,
    scope: &QueryScope<'a>,
) -> impl Iterator<Item = &'a Matcher> {
    // Not every family has the labels: recorded series have only those that their rule keeps.
    let common = scope.common_matchers.iter();
    common.filter(|matcher| family.labels.contains_key(&matcher.label) && !own.contains(matcher))
}

/// Returns the labels whose value a selector sets: those with exactly one matcher, which is `=`.
pub(crate) fn equal_labels(
    own: &[Matcher],
    family: &IndexedFamily,
    scope: &QueryScope<'_>,
) -> LabelNames {
    let all = || own.iter().chain(common_matchers(own, family, scope));
    let is_only = |label: &str| all().filter(|matcher| matcher.label == label).count() == 1;
    let equal = all().filter(|matcher| matches!(matcher.value, MatchValue::Equal(_)));
    let equal = equal.filter(|matcher| is_only(&matcher.label));
    equal.map(|matcher| matcher.label.clone()).collect()
}

impl Matcher {
    /// Returns an error if the selector's own matchers select another value of the label.
    fn check_possible_with(&self, name: &str, own: &[Matcher]) -> Result<(), Error> {
        let MatchValue::Equal(value) = &self.value else {
            return Ok(());
        };
        let other = own.iter().find_map(|own| match &own.value {
            MatchValue::Equal(other) if own.label == self.label => Some(other),
            _ => None,
        });
        match other {
            None => Ok(()),
            Some(other) => Err(Error::new(format!(
                "{name:?} is selected with the {} {other:?}, but the rules are restricted to {value:?}, so no series \
                 matches",
                self.label
            ))),
        }
    }

    fn check(&self, name: &str, family: &IndexedFamily) -> Result<(), Error> {
        let Some(values) = family.labels.get(&self.label) else {
            return Err(no_such_label(name, &self.label, &family.label_names()));
        };
        if let MatchValue::Regex(pattern) | MatchValue::NotRegex(pattern) = &self.value {
            check_pattern(pattern)?;
        }
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

/// Returns `sum by (…) (…)`, or `sum(…)` without labels.
pub(crate) fn aggregated(function: &str, by: &[String], parameter: &str, of: &str) -> String {
    match by {
        [] => format!("{function}({parameter}{of})"),
        by => format!("{function} by ({}) ({parameter}{of})", by.join(", ")),
    }
}

/// Returns a matcher for the label `le` that matches all spellings of a bound. A whole number is `1` in the text format and
/// `1.0` in OpenMetrics, and Prometheus 3 rewrites large and small bounds to Go's notation, such as `2e-05`.
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

/// Returns an error if the bound is not a bound of the classic buckets, because the fraction below it could only be
/// estimated.
pub(crate) fn check_bound(name: &str, bound: f64, family: &IndexedFamily) -> Result<(), Error> {
    let buckets = &family.buckets;
    if buckets.contains(&bound) {
        return Ok(());
    }
    let below = buckets.iter().rev().find(|b| **b < bound);
    let above = buckets.iter().find(|b| **b > bound);
    let near: Vec<_> = below.into_iter().chain(above).map(f64::to_string).collect();
    let reason = match family.reads_native {
        true => ", as `mixed_histograms` needs; use a bound",
        false => "; use native histograms, or a bound",
    };
    Err(Error::new(format!(
        "{bound} is not a classic bucket bound of {name:?}{reason}: the nearest {} {}",
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
