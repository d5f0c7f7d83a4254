//! [`Node`]: a query as a tree, checked against the definitions while it is written as PromQL.

use std::fmt::Write;

use super::definitions::{Entry, Known};
use super::query::Labels;
use crate::Error;
use crate::app::FamilyKind;
use crate::registry::escape_label_value;

/// A part of a query.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Number(f64),
    Now,
    Up(Vec<Matcher>),
    Instant(Selector),
    Range(Function, Selector),
    Quantile {
        quantile: f64,
        of: Selector,
        by: Vec<String>,
    },
    Mean {
        of: Selector,
        by: Vec<String>,
    },
    Share {
        bound: f64,
        of: Selector,
        by: Vec<String>,
    },
    Aggregate {
        with: Aggregation,
        by: Vec<String>,
        of: Box<Self>,
    },
    Binary {
        operator: Operator,
        left: Box<Self>,
        right: Box<Self>,
    },
}

/// Series of a family.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Selector {
    family: String,
    matchers: Vec<Matcher>,
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

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Function {
    Rate,
    Increase,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Aggregation {
    Sum,
    Max,
    Min,
    Avg,
    Count,
    Quantile(f64),
    Top(u32),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Operator {
    Add,
    Sub,
    Mul,
    Div,
    Above,
    AtLeast,
    Below,
    Equal,
    And,
    Or,
}

/// Where a query is written: what is defined, and what every selector gets.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    pub(super) known: &'a Known,
    /// What every selector that has these labels also matches.
    pub(super) everywhere: &'a [Matcher],
    /// The window of a rate that says none.
    pub(super) window: &'a str,
}

/// The window of a rate in a rule that says none: several scrapes at any usual interval.
pub(super) const RULE_WINDOW: &str = "5m";

/// PromQL, and the labels of what it gives; a number has none and finds every partner.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) text: String,
    pub(super) labels: Option<Labels>,
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
    fn written(&self, place: &Place<'_>, suffix: &str, extra: &str) -> Result<String, Error> {
        let entry = place.known.family(&self.family)?;
        let name = format!("{}{suffix}", self.family);
        let text = matchers(&self.family, entry, &self.matchers, place, extra)?;
        Ok(name + &text)
    }

    /// `name{…}[…]`.
    fn ranged(&self, place: &Place<'_>, suffix: &str, extra: &str) -> Result<String, Error> {
        let window = self.window.as_deref().unwrap_or(place.window);
        if self.window.is_some() {
            check_duration(window)?;
        }
        Ok(format!("{}[{window}]", self.written(place, suffix, extra)?))
    }

    /// `sum by (…) (rate(name{…}[…]))`.
    fn summed_rate(
        &self,
        place: &Place<'_>,
        (suffix, extra): (&str, &str),
        by: &[String],
    ) -> Result<String, Error> {
        let rate = format!("rate({})", self.ranged(place, suffix, extra)?);
        Ok(aggregated("sum", by, "", &rate))
    }

    /// Refuses labels that the family does not have.
    fn check_by(&self, entry: &Entry, by: &[String]) -> Result<Labels, Error> {
        let has = entry.label_names();
        match by.iter().find(|label| !has.contains(*label)) {
            None => Ok(by.iter().cloned().collect()),
            Some(label) => Err(no_label(&self.family, label, &has)),
        }
    }

    fn histogram<'a>(&self, place: &Place<'a>, what: &str) -> Result<&'a Entry, Error> {
        let entry = place.known.family(&self.family)?;
        if entry.kind == FamilyKind::Histogram {
            return Ok(entry);
        }
        Err(wrong_kind(&self.family, entry, what, "a histogram has one"))
    }
}

impl Node {
    /// Calls `f` with every selector.
    pub(super) fn for_each_selector(&mut self, f: &mut impl FnMut(&mut Selector)) {
        match self {
            Self::Number(_) | Self::Now | Self::Up(_) => {}
            Self::Instant(of)
            | Self::Range(_, of)
            | Self::Quantile { of, .. }
            | Self::Mean { of, .. }
            | Self::Share { of, .. } => f(of),
            Self::Aggregate { of, .. } => of.for_each_selector(f),
            Self::Binary { left, right, .. } => {
                left.for_each_selector(f);
                right.for_each_selector(f);
            }
        }
    }

    /// Calls `f` with the matchers of every selector.
    pub(super) fn for_each_matchers(&mut self, f: &mut impl FnMut(&mut Vec<Matcher>)) {
        match self {
            Self::Up(matchers) => f(matchers),
            Self::Aggregate { of, .. } => of.for_each_matchers(f),
            Self::Binary { left, right, .. } => {
                left.for_each_matchers(f);
                right.for_each_matchers(f);
            }
            leaf => leaf.for_each_selector(&mut |selector| f(&mut selector.matchers)),
        }
    }

    /// Keeps only these labels. Both sides of an operator do, because a sum of ratios says nothing.
    pub(super) fn by(self, labels: &[String]) -> Self {
        let by = labels.to_vec();
        match self {
            Self::Number(_) | Self::Now => self,
            Self::Quantile { quantile, of, .. } => Self::Quantile { quantile, of, by },
            Self::Mean { of, .. } => Self::Mean { of, by },
            Self::Share { bound, of, .. } => Self::Share { bound, of, by },
            Self::Binary {
                operator,
                left,
                right,
            } => Self::Binary {
                operator,
                left: Box::new(left.by(labels)),
                right: Box::new(right.by(labels)),
            },
            series => Self::Aggregate {
                with: Aggregation::Sum,
                by,
                of: Box::new(series),
            },
        }
    }

    /// As PromQL, once everything that it asks for is there.
    pub(super) fn written(&self, place: &Place<'_>) -> Result<Written, Error> {
        match self {
            Self::Number(number) => Ok(Written {
                text: number.to_string(),
                labels: None,
            }),
            Self::Now => Ok(Written {
                text: "time()".to_owned(),
                labels: None,
            }),
            Self::Up(own) => {
                let entry = place.known.of_targets();
                let text = matchers("up", &entry, own, place, "")?;
                Ok(Written {
                    text: format!("up{text}"),
                    labels: Some(entry.label_names()),
                })
            }
            Self::Instant(of) => instant(of, place),
            Self::Range(function, of) => range(*function, of, place),
            Self::Quantile { quantile, of, by } => quantile_of(*quantile, of, by, place),
            Self::Mean { of, by } => mean(of, by, place),
            Self::Share { bound, of, by } => share(*bound, of, by, place),
            Self::Aggregate { with, by, of } => aggregate(*with, by, of, place),
            Self::Binary {
                operator,
                left,
                right,
            } => binary(*operator, left, right, place),
        }
    }

    fn is_binary(&self) -> bool {
        matches!(
            self,
            Self::Binary { .. } | Self::Mean { .. } | Self::Share { .. }
        )
    }

    /// The family that it is most about.
    pub(super) fn family(&self) -> Option<&str> {
        match self {
            Self::Number(_) | Self::Now => None,
            Self::Up(_) => Some("up"),
            Self::Instant(of)
            | Self::Range(_, of)
            | Self::Quantile { of, .. }
            | Self::Mean { of, .. }
            | Self::Share { of, .. } => Some(&of.family),
            Self::Aggregate { of, .. } => of.family(),
            Self::Binary { left, right, .. } => left.family().or_else(|| right.family()),
        }
    }
}

fn instant(of: &Selector, place: &Place<'_>) -> Result<Written, Error> {
    let entry = place.known.family(&of.family)?;
    let instead = match entry.kind {
        FamilyKind::Counter => "ask for its rate or increase",
        FamilyKind::Histogram => "ask for its rate, a quantile or its mean",
        _ => {
            return Ok(Written {
                text: of.written(place, "", "")?,
                labels: Some(entry.label_names()),
            });
        }
    };
    Err(wrong_kind(&of.family, entry, "its value", instead))
}

fn range(function: Function, of: &Selector, place: &Place<'_>) -> Result<Written, Error> {
    let entry = place.known.family(&of.family)?;
    let function = match function {
        Function::Rate => "rate",
        Function::Increase => "increase",
    };
    let mut labels = entry.label_names();
    let suffix = match entry.kind {
        FamilyKind::Counter => "",
        FamilyKind::Histogram => "_count",
        FamilyKind::Summary => {
            labels.remove("quantile");
            "_count"
        }
        _ => {
            return Err(wrong_kind(
                &of.family,
                entry,
                &format!("its {function}"),
                "ask for its value",
            ));
        }
    };
    Ok(Written {
        text: format!("{function}({})", of.ranged(place, suffix, "")?),
        labels: Some(labels),
    })
}

fn quantile_of(
    quantile: f64,
    of: &Selector,
    by: &[String],
    place: &Place<'_>,
) -> Result<Written, Error> {
    check_quantile(quantile)?;
    let entry = of.histogram(place, "a quantile")?;
    let labels = of.check_by(entry, by)?;
    let with_le: Vec<_> = ["le".to_owned()].iter().chain(by).cloned().collect();
    let rates = of.summed_rate(place, ("_bucket", ""), &with_le)?;
    Ok(Written {
        text: format!("histogram_quantile({quantile}, {rates})"),
        labels: Some(labels),
    })
}

fn mean(of: &Selector, by: &[String], place: &Place<'_>) -> Result<Written, Error> {
    let entry = place.known.family(&of.family)?;
    if !matches!(entry.kind, FamilyKind::Histogram | FamilyKind::Summary) {
        let what = "the mean of its samples";
        return Err(wrong_kind(&of.family, entry, what, "a histogram has one"));
    }
    let labels = of.check_by(entry, by)?;
    let sums = of.summed_rate(place, ("_sum", ""), by)?;
    let counts = of.summed_rate(place, ("_count", ""), by)?;
    Ok(Written {
        text: format!("{sums} / {counts}"),
        labels: Some(labels),
    })
}

fn share(bound: f64, of: &Selector, by: &[String], place: &Place<'_>) -> Result<Written, Error> {
    let entry = of.histogram(place, "a share of its samples")?;
    check_bound(&of.family, bound, &entry.buckets)?;
    let labels = of.check_by(entry, by)?;
    let within = of.summed_rate(place, ("_bucket", &le_matcher(bound)), by)?;
    let all = of.summed_rate(place, ("_count", ""), by)?;
    Ok(Written {
        text: format!("{within} / {all}"),
        labels: Some(labels),
    })
}

fn aggregate(
    with: Aggregation,
    by: &[String],
    of: &Node,
    place: &Place<'_>,
) -> Result<Written, Error> {
    let Written { text, labels } = of.written(place)?;
    let family = of.family().unwrap_or("a number");
    let labels = labels.ok_or_else(|| {
        Error::new(format!(
            "{text} is a number: there are no series to aggregate"
        ))
    })?;
    if let Some(label) = by.iter().find(|label| !labels.contains(*label)) {
        return Err(no_label(family, label, &labels));
    }
    let (name, parameter) = match with {
        Aggregation::Sum => ("sum", String::new()),
        Aggregation::Max => ("max", String::new()),
        Aggregation::Min => ("min", String::new()),
        Aggregation::Avg => ("avg", String::new()),
        Aggregation::Count => ("count", String::new()),
        Aggregation::Quantile(quantile) => {
            check_quantile(quantile)?;
            ("quantile", format!("{quantile}, "))
        }
        Aggregation::Top(count) => {
            return Ok(Written {
                text: format!("topk({count}, {text})"),
                labels: Some(labels),
            });
        }
    };
    Ok(Written {
        text: aggregated(name, by, &parameter, &text),
        labels: Some(by.iter().cloned().collect()),
    })
}

fn binary(
    operator: Operator,
    left: &Node,
    right: &Node,
    place: &Place<'_>,
) -> Result<Written, Error> {
    check_quantile_threshold(operator, left, right, place)?;
    let side = |node: &Node| -> Result<Written, Error> {
        let mut written = node.written(place)?;
        if node.is_binary() {
            written.text = format!("({})", written.text);
        }
        Ok(written)
    };
    let (one, other) = (side(left)?, side(right)?);
    let labels = match (one.labels, other.labels) {
        (Some(one), Some(other)) if one != other => {
            return Err(Error::new(format!(
                "the two sides of `{}` have different labels, {} and {}, so no series finds its partner: \
                 aggregate both by the same",
                operator.text(),
                listed(&one),
                listed(&other),
            )));
        }
        (labels @ Some(_), _) | (None, labels) => labels,
    };
    Ok(Written {
        text: format!("{} {} {}", one.text, operator.text(), other.text),
        labels,
    })
}

impl Operator {
    fn text(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Above => ">",
            Self::AtLeast => ">=",
            Self::Below => "<",
            Self::Equal => "==",
            Self::And => "and",
            Self::Or => "or",
        }
    }
}

/// `{label="value",…}` with what the place adds; nothing if there is nothing to match.
fn matchers(
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

    fn written(&self) -> String {
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
fn aggregated(name: &str, by: &[String], parameter: &str, of: &str) -> String {
    match by {
        [] => format!("{name}({parameter}{of})"),
        by => format!("{name} by ({}) ({parameter}{of})", by.join(", ")),
    }
}

/// The bucket of a bound. A whole bound is `1` in the text format and `1.0` in OpenMetrics, and large or
/// small ones are rewritten by Prometheus 3 as Go prints them; a rule must find them all.
fn le_matcher(bound: f64) -> String {
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

/// Refuses a threshold that a quantile can never pass, because it never exceeds the last finite bound.
fn check_quantile_threshold(
    operator: Operator,
    left: &Node,
    right: &Node,
    place: &Place<'_>,
) -> Result<(), Error> {
    let (Node::Quantile { of, .. }, Node::Number(threshold)) = (left, right) else {
        return Ok(());
    };
    let entry = of.histogram(place, "a quantile")?;
    let Some(last) = entry.buckets.last() else {
        return Ok(());
    };
    let never = match operator {
        Operator::Above => threshold >= last,
        Operator::AtLeast | Operator::Equal => threshold > last,
        _ => false,
    };
    if !never {
        return Ok(());
    }
    Err(Error::new(format!(
        "a quantile of {:?} is never {} {threshold}: it does not exceed the last finite bound, {last}; \
         ask for `at_least({last})`, or for less",
        of.family,
        operator.text(),
    )))
}

fn check_quantile(quantile: f64) -> Result<(), Error> {
    if (0.0..=1.0).contains(&quantile) {
        return Ok(());
    }
    Err(Error::new(format!(
        "{quantile} is no quantile: they are from 0 to 1"
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

fn no_label(family: &str, label: &str, has: &Labels) -> Error {
    Error::new(format!(
        "label {label:?} is asked for, which {family:?} does not have; it has {}",
        listed(has)
    ))
}

fn wrong_kind(family: &str, entry: &Entry, what: &str, instead: &str) -> Error {
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
