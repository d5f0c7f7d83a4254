//! [`Node`]: a query as a tree, checked against the definitions while it is written as PromQL.

use super::definitions::Known;
use super::query::Labels;
use super::selector::{
    Matcher, Selector, aggregated, check_bound, le_matcher, listed, matchers, no_label, wrong_kind,
};
use crate::Error;
use crate::app::FamilyKind;

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
