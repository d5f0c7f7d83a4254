//! [`Expression`]: the syntax tree of a query, and its conversion to PromQL.

use tower_prometheus::model::MetricKind;

use crate::error::Error;
use crate::histogram::{self, Buckets, Term, Total};
use crate::selector::{
    Matcher, QueryScope, Selector, aggregated, equal_labels, matchers, no_such_label, wrong_kind,
};
use crate::text::{LabelNames, quoted_list};

/// A node of the syntax tree. [`Expression::to_promql`] checks it against the definitions.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expression {
    Number(f64),
    Now,
    Up(Vec<Matcher>),
    Instant(Selector),
    Range(RangeFunction, Selector),
    Quantile {
        quantile: f64,
        of: Selector,
        by: Vec<String>,
    },
    Mean {
        of: Selector,
        by: Vec<String>,
    },
    FractionBelow {
        bound: f64,
        of: Selector,
        by: Vec<String>,
    },
    Absent(Box<Self>),
    Aggregate {
        aggregation: Aggregation,
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
pub(crate) enum RangeFunction {
    Rate,
    Increase,
}

impl RangeFunction {
    fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Increase => "increase",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Aggregation {
    Sum,
    Max,
    Min,
    Avg,
    Count,
    Quantile(f64),
    Top(u32),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Operator {
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

/// A PromQL expression and the labels of its result.
#[derive(Clone, Debug)]
pub(crate) struct PromQl {
    pub(crate) text: String,
    /// `None` for a number, which has no labels and can be combined with any series.
    pub(crate) labels: Option<LabelNames>,
    /// Whether it is an operation, which needs parentheses as an operand of another one.
    is_operation: bool,
}

impl PromQl {
    fn series(term: impl Into<Term>, labels: LabelNames) -> Self {
        let Term { text, is_operation } = term.into();
        Self {
            text,
            labels: Some(labels),
            is_operation,
        }
    }

    fn number(text: String) -> Self {
        Self {
            text,
            labels: None,
            is_operation: false,
        }
    }
}

impl Expression {
    /// Calls `f` with every selector.
    pub(crate) fn for_each_selector(&mut self, f: &mut impl FnMut(&mut Selector)) {
        match self {
            Self::Number(_) | Self::Now | Self::Up(_) => {}
            Self::Instant(of)
            | Self::Range(_, of)
            | Self::Quantile { of, .. }
            | Self::Mean { of, .. }
            | Self::FractionBelow { of, .. } => f(of),
            Self::Absent(of) | Self::Aggregate { of, .. } => of.for_each_selector(f),
            Self::Binary { left, right, .. } => {
                left.for_each_selector(f);
                right.for_each_selector(f);
            }
        }
    }

    /// Calls `f` with the matchers of every selector.
    pub(crate) fn for_each_matchers(&mut self, f: &mut impl FnMut(&mut Vec<Matcher>)) {
        match self {
            Self::Up(matchers) => f(matchers),
            Self::Absent(of) | Self::Aggregate { of, .. } => of.for_each_matchers(f),
            Self::Binary { left, right, .. } => {
                left.for_each_matchers(f);
                right.for_each_matchers(f);
            }
            leaf => leaf.for_each_selector(&mut |selector| f(&mut selector.matchers)),
        }
    }

    /// Aggregates to these labels. Both operands of an operator are aggregated, because a sum of ratios has no meaning.
    pub(crate) fn by(self, labels: &[String]) -> Self {
        let by = labels.to_vec();
        match self {
            Self::Number(_) | Self::Now => self,
            Self::Quantile { quantile, of, .. } => Self::Quantile { quantile, of, by },
            Self::Mean { of, .. } => Self::Mean { of, by },
            Self::FractionBelow { bound, of, .. } => Self::FractionBelow { bound, of, by },
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
                aggregation: Aggregation::Sum,
                by,
                of: Box::new(series),
            },
        }
    }

    /// Checks the expression against the definitions of the scope and returns it as PromQL.
    pub(crate) fn to_promql(&self, scope: &QueryScope<'_>) -> Result<PromQl, Error> {
        match self {
            Self::Number(number) => Ok(PromQl::number(number.to_string())),
            Self::Now => Ok(PromQl::number("time()".to_owned())),
            Self::Up(own) => {
                let family = scope.index.target_metric();
                let matchers = matchers("up", &family, own, scope, "")?;
                Ok(PromQl::series(
                    format!("up{matchers}"),
                    family.label_names(),
                ))
            }
            Self::Instant(of) => instant(of, scope),
            Self::Range(function, of) => range(*function, of, scope),
            Self::Quantile { quantile, of, by } => histogram_quantile(*quantile, of, by, scope),
            Self::Mean { of, by } => mean(of, by, scope),
            Self::FractionBelow { bound, of, by } => fraction_below(*bound, of, by, scope),
            Self::Absent(of) => absent(of, scope),
            Self::Aggregate {
                aggregation,
                by,
                of,
            } => aggregate(*aggregation, by, of, scope),
            Self::Binary {
                operator,
                left,
                right,
            } => binary(*operator, left, right, scope),
        }
    }

    /// Returns the rate or the increase of each bucket of a histogram, summed over all series, for a heat map.
    pub(crate) fn to_buckets(&self, scope: &QueryScope<'_>) -> Result<Buckets, Error> {
        match self {
            Self::Range(function, of) => {
                let family = of.histogram(scope, "heat map")?;
                histogram::buckets(function.name(), (of, family), scope)
            }
            Self::Aggregate {
                aggregation: Aggregation::Sum,
                by,
                of,
            } if by.is_empty() => of.to_buckets(scope),
            _ => Err(Error::new(
                "the query of a heat map must be the rate or the increase of a histogram, without labels, operators or \
                 other functions",
            )),
        }
    }

    /// Returns the first metric family in the expression.
    pub(crate) fn family(&self) -> Option<&str> {
        match self {
            Self::Number(_) | Self::Now => None,
            Self::Up(_) => Some("up"),
            Self::Instant(of)
            | Self::Range(_, of)
            | Self::Quantile { of, .. }
            | Self::Mean { of, .. }
            | Self::FractionBelow { of, .. } => Some(&of.family),
            Self::Absent(of) | Self::Aggregate { of, .. } => of.family(),
            Self::Binary { left, right, .. } => left.family().or_else(|| right.family()),
        }
    }
}

fn instant(of: &Selector, scope: &QueryScope<'_>) -> Result<PromQl, Error> {
    let family = scope.index.family(&of.family)?;
    let instead = match family.kind {
        MetricKind::Counter => "query its rate or increase",
        MetricKind::Histogram => "query its rate, a quantile or its mean",
        _ => {
            let text = of.instant(scope, "", "")?;
            return Ok(PromQl::series(text, family.label_names()));
        }
    };
    Err(wrong_kind(&of.family, family, "value", instead))
}

fn range(function: RangeFunction, of: &Selector, scope: &QueryScope<'_>) -> Result<PromQl, Error> {
    let family = scope.index.family(&of.family)?;
    let function = function.name();
    let mut labels = family.label_names();
    let over_time = match family.kind {
        MetricKind::Counter => format!("{function}({})", of.ranged(scope, "", "")?).into(),
        MetricKind::Histogram | MetricKind::Summary => {
            labels.remove("quantile");
            Total::Count.over_time(function, of, scope)?
        }
        _ => return Err(wrong_kind(&of.family, family, function, "query its value")),
    };
    Ok(PromQl::series(over_time, labels))
}

fn histogram_quantile(
    quantile: f64,
    of: &Selector,
    by: &[String],
    scope: &QueryScope<'_>,
) -> Result<PromQl, Error> {
    check_quantile(quantile)?;
    let family = of.histogram(scope, "quantile")?;
    let labels = of.check_by(family, by)?;
    let quantile = histogram::quantile(quantile, (of, family), by, scope)?;
    Ok(PromQl::series(quantile, labels))
}

fn mean(of: &Selector, by: &[String], scope: &QueryScope<'_>) -> Result<PromQl, Error> {
    let family = scope.index.family(&of.family)?;
    if !matches!(family.kind, MetricKind::Histogram | MetricKind::Summary) {
        let instead = "only a histogram or a summary has one";
        return Err(wrong_kind(&of.family, family, "mean", instead));
    }
    let labels = of.check_by(family, by)?;
    Ok(PromQl::series(histogram::mean(of, by, scope)?, labels))
}

fn fraction_below(
    bound: f64,
    of: &Selector,
    by: &[String],
    scope: &QueryScope<'_>,
) -> Result<PromQl, Error> {
    let family = of.histogram(scope, "fraction below a bound")?;
    let labels = of.check_by(family, by)?;
    let fraction = histogram::fraction_below(bound, (of, family), by, scope)?;
    Ok(PromQl::series(fraction, labels))
}

/// Returns `absent(…)`. Prometheus derives the labels of its result from the selector: those with one matcher, which is
/// `=`.
fn absent(of: &Expression, scope: &QueryScope<'_>) -> Result<PromQl, Error> {
    let (text, matched) = match of {
        Expression::Up(own) => {
            let family = scope.index.target_metric();
            let text = of.to_promql(scope)?.text;
            (text, equal_labels(own, &family, scope))
        }
        Expression::Instant(selector) => {
            let family = scope.index.family(&selector.family)?;
            let matched = equal_labels(&selector.matchers, family, scope);
            if family.kind == MetricKind::Histogram {
                let absent = histogram::absent((selector, family), scope)?;
                return Ok(PromQl::series(absent, matched));
            }
            (selector.instant(scope, "", "")?, matched)
        }
        _ => {
            let PromQl { text, labels, .. } = of.to_promql(scope)?;
            if labels.is_none() {
                return Err(Error::new(format!(
                    "{text} is a number: it is never absent"
                )));
            }
            (text, LabelNames::new())
        }
    };
    Ok(PromQl::series(format!("absent({text})"), matched))
}

fn aggregate(
    aggregation: Aggregation,
    by: &[String],
    of: &Expression,
    scope: &QueryScope<'_>,
) -> Result<PromQl, Error> {
    let PromQl { text, labels, .. } = of.to_promql(scope)?;
    let family = of.family().unwrap_or("a number");
    let labels = labels
        .ok_or_else(|| Error::new(format!("{text} is a number: it has no series to aggregate")))?;
    if let Some(label) = by.iter().find(|label| !labels.contains(*label)) {
        return Err(no_such_label(family, label, &labels));
    }
    let (function, parameter) = match aggregation {
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
            return Ok(PromQl::series(format!("topk({count}, {text})"), labels));
        }
    };
    let text = aggregated(function, by, &parameter, &text);
    Ok(PromQl::series(text, by.iter().cloned().collect()))
}

fn binary(
    operator: Operator,
    left: &Expression,
    right: &Expression,
    scope: &QueryScope<'_>,
) -> Result<PromQl, Error> {
    check_quantile_threshold(operator, left, right, scope)?;
    let operand = |expression: &Expression| -> Result<PromQl, Error> {
        let mut promql = expression.to_promql(scope)?;
        if promql.is_operation {
            promql.text = format!("({})", promql.text);
        }
        Ok(promql)
    };
    let (left, right) = (operand(left)?, operand(right)?);
    let labels = match (left.labels, right.labels) {
        (Some(left), Some(right)) if left != right => {
            return Err(Error::new(format!(
                "the operands of `{}` have different labels, so no series match: the left has {}, the right \
                 has {}; aggregate both by the same labels",
                operator.symbol(),
                quoted_list(&left),
                quoted_list(&right),
            )));
        }
        (labels @ Some(_), _) | (None, labels) => labels,
    };
    Ok(PromQl {
        text: format!("{} {} {}", left.text, operator.symbol(), right.text),
        labels,
        is_operation: true,
    })
}

impl Operator {
    fn symbol(self) -> &'static str {
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

/// Returns an error if a quantile is compared with a threshold that it cannot reach: `histogram_quantile` of classic
/// buckets never exceeds the last finite bound.
fn check_quantile_threshold(
    operator: Operator,
    left: &Expression,
    right: &Expression,
    scope: &QueryScope<'_>,
) -> Result<(), Error> {
    let (Expression::Quantile { of, .. }, Expression::Number(threshold)) = (left, right) else {
        return Ok(());
    };
    let family = of.histogram(scope, "quantile")?;
    let last = family.buckets.last().filter(|_| !family.reads_native);
    let Some(last) = last else {
        return Ok(());
    };
    let is_unreachable = match operator {
        Operator::Above => threshold >= last,
        Operator::AtLeast | Operator::Equal => threshold > last,
        _ => false,
    };
    if !is_unreachable {
        return Ok(());
    }
    Err(Error::new(format!(
        "a quantile of {:?} is never {} {threshold}: it does not exceed the last finite bucket bound, {last}; \
         use `at_least({last})` or a lower threshold",
        of.family,
        operator.symbol(),
    )))
}

fn check_quantile(quantile: f64) -> Result<(), Error> {
    if (0.0..=1.0).contains(&quantile) {
        return Ok(());
    }
    Err(Error::new(format!(
        "quantile must be 0 to 1, got {quantile}"
    )))
}
