//! [`Query`]: a PromQL expression that is checked against definitions.

use std::ops::{Add, Div, Mul, Sub};

use crate::definitions::Definitions;
use crate::error::Error;
use crate::expression::{Aggregation, Expression, Operator, RangeFunction};
use crate::selector::{MatchValue, Matcher, QueryScope, RULE_RANGE, Selector};

/// A PromQL expression over defined metric families.
///
/// A query is built from metric names and checked when the panel or rule that contains it is generated:
///
/// - the family exists, and its kind has what the query reads;
/// - the family has the labels, and a label with a fixed set of values has the value;
/// - the operands of an operator have the same labels, so that their series match.
///
/// PromQL cannot be given as text, because text cannot be checked.
///
/// ```
/// use tower_prometheus_mixin::Query;
///
/// // sum by (endpoint) (rate(http_requests_total{status=~"5.."}[…]))
/// let failed = Query::rate("http_requests_total").matching("status", "5..").by(["endpoint"]);
/// // histogram_quantile(0.95, sum by (le, endpoint) (rate(http_request_duration_seconds_bucket[…])))
/// let p95 = Query::quantile(0.95, "http_request_duration_seconds").by(["endpoint"]);
/// ```
///
/// The range of a rate is `$__rate_interval` in a dashboard and 5 minutes in a rule, unless
/// [`over`](Self::over) sets another.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a query does nothing until it is added to a panel or a rule"]
pub struct Query {
    pub(crate) expression: Expression,
    pub(crate) legend: Option<String>,
}

impl Query {
    fn new(expression: Expression) -> Self {
        Self {
            expression,
            legend: None,
        }
    }

    /// The value of a gauge or an info, the quantiles of a summary, or a series that an earlier rule
    /// records.
    pub fn value(family: impl Into<String>) -> Self {
        Self::new(Expression::Instant(Selector::new(family)))
    }

    /// The rate of a counter, per second; for a histogram or a summary, the rate of its observations.
    pub fn rate(family: impl Into<String>) -> Self {
        Self::new(Expression::Range(
            RangeFunction::Rate,
            Selector::new(family),
        ))
    }

    /// The increase of a counter over the range; for a histogram or a summary, the increase of its
    /// observations.
    pub fn increase(family: impl Into<String>) -> Self {
        Self::new(Expression::Range(
            RangeFunction::Increase,
            Selector::new(family),
        ))
    }

    /// The quantile of a histogram, over all series unless [`by`](Self::by) keeps labels.
    ///
    /// `quantile` is 0 to 1. The result never exceeds the last finite bucket bound.
    pub fn quantile(quantile: f64, family: impl Into<String>) -> Self {
        Self::new(Expression::Quantile {
            quantile,
            of: Selector::new(family),
            by: Vec::new(),
        })
    }

    /// The mean of a histogram's or summary's observations, over all series unless [`by`](Self::by) keeps
    /// labels.
    pub fn mean(family: impl Into<String>) -> Self {
        Self::new(Expression::Mean {
            of: Selector::new(family),
            by: Vec::new(),
        })
    }

    /// The fraction of a histogram's observations that are at most `bound`, from 0 to 1.
    ///
    /// `bound` must be one of the histogram's bucket bounds.
    pub fn fraction_below(bound: f64, family: impl Into<String>) -> Self {
        Self::new(Expression::FractionBelow {
            bound,
            of: Selector::new(family),
            by: Vec::new(),
        })
    }

    /// The ratio of `part` to `whole`, from 0 to 1: 0 where `part` has no series, no result where `whole`
    /// has none.
    pub fn ratio(part: Self, whole: Self) -> Self {
        (part.or(whole.clone() * 0.0)) / whole
    }

    /// 1 for each target whose last scrape succeeded, else 0. Prometheus records it.
    pub fn up() -> Self {
        Self::new(Expression::Up(Vec::new()))
    }

    /// The current time in Unix seconds.
    pub fn now() -> Self {
        Self::new(Expression::Now)
    }

    /// Selects series whose label has this value.
    pub fn with(self, label: impl Into<String>, value: impl Into<String>) -> Self {
        self.matcher(label.into(), MatchValue::Equal(value.into()))
    }

    /// Selects series whose label has any other value.
    pub fn without(self, label: impl Into<String>, value: impl Into<String>) -> Self {
        self.matcher(label.into(), MatchValue::NotEqual(value.into()))
    }

    /// Selects series whose label matches a regular expression, which is anchored.
    pub fn matching(self, label: impl Into<String>, pattern: impl Into<String>) -> Self {
        self.matcher(label.into(), MatchValue::Regex(pattern.into()))
    }

    /// Selects series whose label does not match a regular expression, which is anchored.
    pub fn not_matching(self, label: impl Into<String>, pattern: impl Into<String>) -> Self {
        self.matcher(label.into(), MatchValue::NotRegex(pattern.into()))
    }

    fn matcher(mut self, label: String, value: MatchValue) -> Self {
        let matcher = Matcher { label, value };
        self.expression.for_each_matchers(&mut |matchers| {
            matchers.push(matcher.clone());
        });
        self
    }

    /// Sets the range of rates and increases, in Prometheus' format: `5m`, `1h30m`.
    pub fn over(mut self, range: impl Into<String>) -> Self {
        let range = range.into();
        self.expression.for_each_selector(&mut |selector| {
            selector.range = Some(range.clone());
        });
        self
    }

    /// Keeps only these labels.
    ///
    /// Series that differ in other labels are summed. Quantiles, means and fractions are not summed: they are
    /// computed for each combination of these labels. Both operands of an operator keep the labels.
    pub fn by<L: Into<String>>(mut self, labels: impl IntoIterator<Item = L>) -> Self {
        let labels: Vec<_> = labels.into_iter().map(L::into).collect();
        self.expression = self.expression.by(&labels);
        self
    }

    /// Sums all series.
    pub fn sum(self) -> Self {
        self.by::<String>([])
    }

    /// The maximum for each combination of these labels.
    pub fn max_by<L: Into<String>>(self, labels: impl IntoIterator<Item = L>) -> Self {
        self.aggregated(Aggregation::Max, labels)
    }

    /// The minimum for each combination of these labels.
    pub fn min_by<L: Into<String>>(self, labels: impl IntoIterator<Item = L>) -> Self {
        self.aggregated(Aggregation::Min, labels)
    }

    /// The average for each combination of these labels.
    pub fn avg_by<L: Into<String>>(self, labels: impl IntoIterator<Item = L>) -> Self {
        self.aggregated(Aggregation::Avg, labels)
    }

    /// The number of series for each combination of these labels.
    pub fn count_by<L: Into<String>>(self, labels: impl IntoIterator<Item = L>) -> Self {
        self.aggregated(Aggregation::Count, labels)
    }

    /// The quantile over the values of several series, for each combination of these labels.
    ///
    /// It is for gauges: `0.5` is the median of the series. For a histogram, use
    /// [`quantile`](Self::quantile).
    pub fn quantile_by<L: Into<String>>(
        self,
        quantile: f64,
        labels: impl IntoIterator<Item = L>,
    ) -> Self {
        self.aggregated(Aggregation::Quantile(quantile), labels)
    }

    /// The `count` series with the largest values.
    pub fn top(self, count: u32) -> Self {
        self.aggregated::<String>(Aggregation::Top(count), [])
    }

    fn aggregated<L: Into<String>>(
        mut self,
        aggregation: Aggregation,
        labels: impl IntoIterator<Item = L>,
    ) -> Self {
        self.expression = Expression::Aggregate {
            aggregation,
            by: labels.into_iter().map(L::into).collect(),
            of: Box::new(self.expression),
        };
        self
    }

    /// Keeps samples that are greater than `other`.
    pub fn above(self, other: impl Into<Self>) -> Self {
        self.binary(Operator::Above, other.into())
    }

    /// Keeps samples that are greater than or equal to `other`.
    pub fn at_least(self, other: impl Into<Self>) -> Self {
        self.binary(Operator::AtLeast, other.into())
    }

    /// Keeps samples that are less than `other`.
    pub fn below(self, other: impl Into<Self>) -> Self {
        self.binary(Operator::Below, other.into())
    }

    /// Keeps samples that are equal to `other`.
    pub fn equal_to(self, other: impl Into<Self>) -> Self {
        self.binary(Operator::Equal, other.into())
    }

    /// Keeps series that `other` has as well.
    pub fn and(self, other: Self) -> Self {
        self.binary(Operator::And, other)
    }

    /// Adds the series of `other` that this query does not have.
    pub fn or(self, other: Self) -> Self {
        self.binary(Operator::Or, other)
    }

    fn binary(self, operator: Operator, right: Self) -> Self {
        let (left, right) = (Box::new(self.expression), Box::new(right.expression));
        Self {
            expression: Expression::Binary {
                operator,
                left,
                right,
            },
            legend: self.legend,
        }
    }

    /// Returns the expression as PromQL, with a range of 5 minutes unless [`over`](Self::over) sets another.
    ///
    /// ```
    /// use tower_prometheus::HttpMetrics;
    /// use tower_prometheus_mixin::{Definitions, Query};
    ///
    /// let definitions = Definitions::new(HttpMetrics::server().families()?);
    /// let slow = Query::quantile(0.99, "http_request_duration_seconds").by(["endpoint"]).above(1.0);
    /// assert_eq!(
    ///     slow.to_promql(&definitions)?,
    ///     "histogram_quantile(0.99, sum by (le, endpoint) (rate(http_request_duration_seconds_bucket[5m]))) > 1",
    /// );
    /// # Ok::<(), tower_prometheus_mixin::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if
    ///
    /// - a family, a label or a label value is not defined;
    /// - the kind of a family does not have what is queried;
    /// - a quantile is compared with a threshold that it cannot reach;
    /// - the operands of an operator have different labels.
    pub fn to_promql(&self, definitions: &Definitions) -> Result<String, Error> {
        let scope = QueryScope {
            index: &definitions.index()?,
            common_matchers: &[],
            default_range: RULE_RANGE,
        };
        Ok(self.expression.to_promql(&scope)?.text)
    }

    /// Sets the legend of the series in a panel, with labels as `{{method}}`; by default, all labels except
    /// `job`.
    pub fn legend(mut self, legend: impl Into<String>) -> Self {
        self.legend = Some(legend.into());
        self
    }
}

/// A constant.
impl From<f64> for Query {
    fn from(number: f64) -> Self {
        Self::new(Expression::Number(number))
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
