//! [`Query`]: a PromQL expression that knows what it asks for.

use std::collections::BTreeSet;
use std::ops::{Add, Div, Mul, Sub};

use super::definitions::Definitions;
use super::expression::{Aggregation, Function, Node, Operator, Place, RULE_WINDOW};
use super::selector::{Match, Matcher, Selector};
use crate::Error;

/// Names of labels.
pub(super) type Labels = BTreeSet<String>;

/// A PromQL expression over families that are defined.
///
/// It is built from families by name, and checked when the panel or the rule it is in is made: that
/// there is such a family, that it is of a kind that can be asked this, that it has the labels, that a
/// closed label has the value, and that two sides of an operator can find each other's series. There is
/// no way to write PromQL as text, because text cannot be checked.
///
/// ```
/// use tower_prometheus::mixin::Query;
///
/// // sum by (endpoint) (rate(http_requests_total{status=~"5.."}[…]))
/// let failed = Query::rate("http_requests_total").matching("status", "5..").by(["endpoint"]);
/// // histogram_quantile(0.95, sum by (le, endpoint) (rate(http_request_duration_seconds_bucket[…])))
/// let p95 = Query::quantile(0.95, "http_request_duration_seconds").by(["endpoint"]);
/// ```
///
/// The window of a rate is `$__rate_interval` in a dashboard and 5 minutes in a rule, unless
/// [`over`](Self::over) says another.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a query does nothing until a panel or a rule has it"]
pub struct Query {
    pub(super) node: Node,
    pub(super) legend: Option<String>,
}

impl Query {
    fn of(node: Node) -> Self {
        Self { node, legend: None }
    }

    /// The value of a gauge, an info, or a quantile of a summary; or what a rule before this one records.
    pub fn value(family: impl Into<String>) -> Self {
        Self::of(Node::Instant(Selector::new(family)))
    }

    /// How fast a counter grows, a second; of a histogram or a summary, its samples a second.
    pub fn rate(family: impl Into<String>) -> Self {
        Self::of(Node::Range(Function::Rate, Selector::new(family)))
    }

    /// By how much a counter grew; of a histogram or a summary, its samples.
    pub fn increase(family: impl Into<String>) -> Self {
        Self::of(Node::Range(Function::Increase, Selector::new(family)))
    }

    /// The quantile of a histogram, over all series unless [`by`](Self::by) keeps labels. `quantile` is from 0
    /// to 1, and the answer never exceeds the last finite bound.
    pub fn quantile(quantile: f64, family: impl Into<String>) -> Self {
        Self::of(Node::Quantile {
            quantile,
            of: Selector::new(family),
            by: Vec::new(),
        })
    }

    /// The mean of a histogram's or a summary's samples, over all series unless [`by`](Self::by) keeps labels.
    pub fn mean(family: impl Into<String>) -> Self {
        Self::of(Node::Mean {
            of: Selector::new(family),
            by: Vec::new(),
        })
    }

    /// The share of a histogram's samples that are at most `bound`, which must be one of its buckets'.
    pub fn share_within(bound: f64, family: impl Into<String>) -> Self {
        Self::of(Node::Share {
            bound,
            of: Selector::new(family),
            by: Vec::new(),
        })
    }

    /// `part` of `whole`, from 0 to 1: 0 where there is no such part yet, nothing where there is no whole.
    pub fn ratio(part: Self, whole: Self) -> Self {
        (part.or(whole.clone() * 0.0)) / whole
    }

    /// 1 for each target whose last scrape worked, else 0; Prometheus makes it.
    pub fn up() -> Self {
        Self::of(Node::Up(Vec::new()))
    }

    /// Now, in Unix seconds.
    pub fn now() -> Self {
        Self::of(Node::Now)
    }

    /// Only series whose label has this value.
    pub fn with(self, label: impl Into<String>, value: impl Into<String>) -> Self {
        self.matched(label.into(), Match::Is(value.into()))
    }

    /// Only series whose label has another value.
    pub fn without(self, label: impl Into<String>, value: impl Into<String>) -> Self {
        self.matched(label.into(), Match::IsNot(value.into()))
    }

    /// Only series whose label is matched by a regular expression, which is anchored.
    pub fn matching(self, label: impl Into<String>, pattern: impl Into<String>) -> Self {
        self.matched(label.into(), Match::Like(pattern.into()))
    }

    /// Only series whose label is not matched by a regular expression, which is anchored.
    pub fn not_matching(self, label: impl Into<String>, pattern: impl Into<String>) -> Self {
        self.matched(label.into(), Match::Unlike(pattern.into()))
    }

    fn matched(mut self, label: String, value: Match) -> Self {
        let matcher = Matcher { label, value };
        self.node.for_each_matchers(&mut |matchers| {
            matchers.push(matcher.clone());
        });
        self
    }

    /// The window of rates and increases, as Prometheus writes durations: `5m`, `1h30m`.
    pub fn over(mut self, window: impl Into<String>) -> Self {
        let window = window.into();
        self.node.for_each_selector(&mut |selector| {
            selector.window = Some(window.clone());
        });
        self
    }

    /// Keeps only these labels: sums what differs in others; of quantiles, means and shares, asks for
    /// one of each.
    pub fn by<L: Into<String>>(mut self, labels: impl IntoIterator<Item = L>) -> Self {
        let labels: Vec<_> = labels.into_iter().map(L::into).collect();
        self.node = self.node.by(&labels);
        self
    }

    /// The sum of all series.
    pub fn total(self) -> Self {
        self.by::<String>([])
    }

    /// The largest, by these labels.
    pub fn max_by<L: Into<String>>(self, labels: impl IntoIterator<Item = L>) -> Self {
        self.aggregated(Aggregation::Max, labels)
    }

    /// The smallest, by these labels.
    pub fn min_by<L: Into<String>>(self, labels: impl IntoIterator<Item = L>) -> Self {
        self.aggregated(Aggregation::Min, labels)
    }

    /// The mean of series, by these labels.
    pub fn avg_by<L: Into<String>>(self, labels: impl IntoIterator<Item = L>) -> Self {
        self.aggregated(Aggregation::Avg, labels)
    }

    /// How many series there are, by these labels.
    pub fn count_by<L: Into<String>>(self, labels: impl IntoIterator<Item = L>) -> Self {
        self.aggregated(Aggregation::Count, labels)
    }

    /// The quantile over series, for gauges: half of them are below the 0.5.
    pub fn quantile_by<L: Into<String>>(
        self,
        quantile: f64,
        labels: impl IntoIterator<Item = L>,
    ) -> Self {
        self.aggregated(Aggregation::Quantile(quantile), labels)
    }

    /// The `count` largest series.
    pub fn top(self, count: u32) -> Self {
        self.aggregated::<String>(Aggregation::Top(count), [])
    }

    fn aggregated<L: Into<String>>(
        mut self,
        with: Aggregation,
        labels: impl IntoIterator<Item = L>,
    ) -> Self {
        self.node = Node::Aggregate {
            with,
            by: labels.into_iter().map(L::into).collect(),
            of: Box::new(self.node),
        };
        self
    }

    /// Only where this is above.
    pub fn above(self, other: impl Into<Self>) -> Self {
        self.binary(Operator::Above, other.into())
    }

    /// Only where this is at least.
    pub fn at_least(self, other: impl Into<Self>) -> Self {
        self.binary(Operator::AtLeast, other.into())
    }

    /// Only where this is below.
    pub fn below(self, other: impl Into<Self>) -> Self {
        self.binary(Operator::Below, other.into())
    }

    /// Only where this is exactly.
    pub fn equal_to(self, other: impl Into<Self>) -> Self {
        self.binary(Operator::Equal, other.into())
    }

    /// Only where there is also the other.
    pub fn and(self, other: Self) -> Self {
        self.binary(Operator::And, other)
    }

    /// The other where there is no such series here.
    pub fn or(self, other: Self) -> Self {
        self.binary(Operator::Or, other)
    }

    fn binary(self, operator: Operator, right: Self) -> Self {
        let (left, right) = (Box::new(self.node), Box::new(right.node));
        Self {
            node: Node::Binary {
                operator,
                left,
                right,
            },
            legend: self.legend,
        }
    }

    /// The expression as PromQL, with windows of 5 minutes unless [`over`](Self::over) says another.
    ///
    /// ```
    /// use tower_prometheus::HttpMetrics;
    /// use tower_prometheus::mixin::{Definitions, Query};
    ///
    /// let definitions = Definitions::new(HttpMetrics::server().families()?);
    /// let slow = Query::quantile(0.99, "http_request_duration_seconds").by(["endpoint"]).above(1.0);
    /// assert_eq!(
    ///     slow.to_promql(&definitions)?,
    ///     "histogram_quantile(0.99, sum by (le, endpoint) (rate(http_request_duration_seconds_bucket[5m]))) > 1",
    /// );
    /// # Ok::<(), tower_prometheus::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When it asks for a family, a label or a value that is not defined, asks a family what its kind does
    /// not have, compares a quantile with what it can never reach, or has two sides that can never meet.
    pub fn to_promql(&self, definitions: &Definitions) -> Result<String, Error> {
        let place = Place {
            known: &definitions.index()?,
            everywhere: &[],
            window: RULE_WINDOW,
        };
        Ok(self.node.written(&place)?.text)
    }

    /// What a series is called in a panel, with labels as `{{method}}`; unless said otherwise its labels.
    pub fn legend(mut self, legend: impl Into<String>) -> Self {
        self.legend = Some(legend.into());
        self
    }
}

/// A number is a query that needs no series.
impl From<f64> for Query {
    fn from(number: f64) -> Self {
        Self::of(Node::Number(number))
    }
}

macro_rules! arithmetic {
    ($($operator:ident $method:ident)*) => {$(
        impl<Q: Into<Query>> $operator<Q> for Query {
            type Output = Query;

            fn $method(self, other: Q) -> Query {
                self.binary(Operator::$operator, other.into())
            }
        }
    )*};
}

arithmetic! { Add add Sub sub Mul mul Div div }
