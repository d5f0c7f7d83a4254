//! [`Query`]: a PromQL expression over defined metric families.

use std::ops::{Add, Div, Mul, Sub};

use crate::definitions::Definitions;
use crate::error::Error;
use crate::expression::{Aggregation, Expression, Operator, RangeFunction};
use crate::selector::{MatchValue, Matcher, QueryScope, RULE_RANGE, Selector};

/// A PromQL expression over defined metric families.
///
/// A query is built from metric names and checked when the panel or rule that contains it is generated, or by
/// [`to_promql`](Self::to_promql). PromQL cannot be given as text, because text cannot be checked.
///
/// | function | PromQL |
/// |---|---|
/// | [`value`](Self::value) | `name` |
/// | [`rate`](Self::rate), [`increase`](Self::increase) | `rate(name[5m])`, `increase(name[5m])` |
/// | [`quantile`](Self::quantile) | `histogram_quantile(0.95, sum by (le) (rate(name_bucket[5m])))` |
/// | [`mean`](Self::mean) | `sum(rate(name_sum[5m])) / sum(rate(name_count[5m]))` |
/// | [`fraction_below`](Self::fraction_below) | `sum(rate(name_bucket{le="0.25"}[5m])) / sum(rate(name_count[5m]))` |
/// | [`ratio`](Self::ratio) | `(part or (whole * 0)) / whole` |
/// | [`up`](Self::up), [`now`](Self::now) | `up`, `time()` |
/// | [`with`](Self::with), [`without`](Self::without), [`matching`](Self::matching), [`not_matching`](Self::not_matching) | `{label="a"}`, `!=`, `=~`, `!~` |
/// | [`by`](Self::by), [`sum`](Self::sum) | `sum by (label) (…)`, `sum(…)` |
/// | [`max_by`](Self::max_by), [`min_by`](Self::min_by), [`avg_by`](Self::avg_by), [`count_by`](Self::count_by), [`quantile_by`](Self::quantile_by) | `max by (label) (…)` and so on |
/// | [`top`](Self::top) | `topk(3, …)` |
/// | [`absent`](Self::absent) | `absent(…)` |
/// | [`above`](Self::above), [`at_least`](Self::at_least), [`below`](Self::below), [`equal_to`](Self::equal_to) | `>`, `>=`, `<`, `==` |
/// | [`and`](Self::and), [`or`](Self::or) | `and`, `or` |
/// | the operators `+`, `-`, `*` and `/` | the same; the right operand is a query or an `f64` |
///
/// These are the queries of classic histograms. Those of [native histograms](crate#native-histograms) are:
///
/// | function | PromQL |
/// |---|---|
/// | [`rate`](Self::rate), [`increase`](Self::increase) | `histogram_count(rate(name[5m]))`, `histogram_count(increase(name[5m]))` |
/// | [`quantile`](Self::quantile) | `histogram_quantile(0.95, sum(rate(name[5m])))` |
/// | [`mean`](Self::mean) | `sum(histogram_sum(rate(name[5m]))) / sum(histogram_count(rate(name[5m])))` |
/// | [`fraction_below`](Self::fraction_below) | `histogram_fraction(-Inf, 0.3, sum(rate(name[5m])))` |
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
/// The range of rates and increases is `$__rate_interval` in a dashboard, and 5 minutes in rules and in
/// [`to_promql`](Self::to_promql), unless [`over`](Self::over) sets another.
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

    /// Selects the value of a gauge or an info metric, the quantiles of a summary, or the series of an earlier
    /// recording rule.
    pub fn value(family: impl Into<String>) -> Self {
        Self::new(Expression::Instant(Selector::new(family)))
    }

    /// Calculates the rate of a counter per second, or the rate of a histogram's or a summary's observations
    /// (`_count`).
    pub fn rate(family: impl Into<String>) -> Self {
        Self::new(Expression::Range(
            RangeFunction::Rate,
            Selector::new(family),
        ))
    }

    /// Calculates the increase of a counter over the range, or the number of observations of a histogram or a summary
    /// (`_count`) in the range.
    pub fn increase(family: impl Into<String>) -> Self {
        Self::new(Expression::Range(
            RangeFunction::Increase,
            Selector::new(family),
        ))
    }

    /// Calculates a quantile of a histogram, over all series unless [`by`](Self::by) keeps labels.
    ///
    /// `quantile` is 0 to 1: 0.95 for p95. Of classic buckets, the result never exceeds the last finite bound. Of native
    /// ones, it is right within their growth factor, which is larger than the configured one in series that have exceeded
    /// [`max_buckets`](tower_prometheus::NativeHistogram::max_buckets).
    pub fn quantile(quantile: f64, family: impl Into<String>) -> Self {
        Self::new(Expression::Quantile {
            quantile,
            of: Selector::new(family),
            by: Vec::new(),
        })
    }

    /// Calculates the mean of a histogram's or a summary's observations, over all series unless [`by`](Self::by) keeps
    /// labels.
    pub fn mean(family: impl Into<String>) -> Self {
        Self::new(Expression::Mean {
            of: Selector::new(family),
            by: Vec::new(),
        })
    }

    /// Calculates the fraction of a histogram's observations that are at most `bound`, from 0 to 1, over all series
    /// unless [`by`](Self::by) keeps labels.
    ///
    /// `bound` is in the unit of the histogram. Of classic buckets, also with
    /// [`mixed_histograms`](crate::Definitions::mixed_histograms), it must be a bound. Of native ones, it can be any number:
    /// Prometheus estimates the fraction within one bucket, which is 9 % wide with the growth factor 1.1.
    pub fn fraction_below(bound: f64, family: impl Into<String>) -> Self {
        Self::new(Expression::FractionBelow {
            bound,
            of: Selector::new(family),
            by: Vec::new(),
        })
    }

    /// Calculates the ratio of `part` to `whole`.
    ///
    /// If labels have no series in `part`, their ratio is 0. If they have none in `whole`, they are left out.
    pub fn ratio(part: Self, whole: Self) -> Self {
        (part.or(whole.clone() * 0.0)) / whole
    }

    /// Selects `up`, which Prometheus records for each target: 1 if the last scrape succeeded, else 0.
    pub fn up() -> Self {
        Self::new(Expression::Up(Vec::new()))
    }

    /// Returns the evaluation time in Unix seconds (`time()`).
    pub fn now() -> Self {
        Self::new(Expression::Now)
    }

    /// Selects series whose label has this value.
    ///
    /// Like all matchers, it is added to every selector of the query, also to both operands of an operator. If the
    /// label has a fixed set of values, another value is an error.
    pub fn with(self, label: impl Into<String>, value: impl Into<String>) -> Self {
        self.matcher(label.into(), MatchValue::Equal(value.into()))
    }

    /// Selects series whose label does not have this value.
    pub fn without(self, label: impl Into<String>, value: impl Into<String>) -> Self {
        self.matcher(label.into(), MatchValue::NotEqual(value.into()))
    }

    /// Selects series whose label matches a regular expression. As in Prometheus, it must match the whole value.
    ///
    /// The expression has the syntax of RE2, which Prometheus uses. Generating a file returns an error if it is not
    /// valid. It is not compared with the defined label values.
    pub fn matching(self, label: impl Into<String>, pattern: impl Into<String>) -> Self {
        self.matcher(label.into(), MatchValue::Regex(pattern.into()))
    }

    /// Selects series whose label does not match a regular expression. As in Prometheus, it is compared with the whole
    /// value. It is checked as that of [`matching`](Self::matching).
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

    /// Sets the range of all rates and increases in the query, in Prometheus' format: `5m`, `1h30m`.
    pub fn over(mut self, range: impl Into<String>) -> Self {
        let range = range.into();
        self.expression.for_each_selector(&mut |selector| {
            selector.range = Some(range.clone());
        });
        self
    }

    /// Aggregates to these labels: sums all series that differ only in other labels.
    ///
    /// Quantiles, means and fractions are not summed, but calculated for each combination of these labels. If the query
    /// has an operator, both operands are aggregated, because a sum of ratios has no meaning.
    pub fn by<L: Into<String>>(mut self, labels: impl IntoIterator<Item = L>) -> Self {
        let labels: Vec<_> = labels.into_iter().map(L::into).collect();
        self.expression = self.expression.by(&labels);
        self
    }

    /// Sums all series. Equals [`by`](Self::by) without labels.
    pub fn sum(self) -> Self {
        self.by::<String>([])
    }

    /// Calculates the maximum for each combination of these labels.
    pub fn max_by<L: Into<String>>(self, labels: impl IntoIterator<Item = L>) -> Self {
        self.aggregated(Aggregation::Max, labels)
    }

    /// Calculates the minimum for each combination of these labels.
    pub fn min_by<L: Into<String>>(self, labels: impl IntoIterator<Item = L>) -> Self {
        self.aggregated(Aggregation::Min, labels)
    }

    /// Calculates the average for each combination of these labels.
    pub fn avg_by<L: Into<String>>(self, labels: impl IntoIterator<Item = L>) -> Self {
        self.aggregated(Aggregation::Avg, labels)
    }

    /// Counts the series for each combination of these labels.
    pub fn count_by<L: Into<String>>(self, labels: impl IntoIterator<Item = L>) -> Self {
        self.aggregated(Aggregation::Count, labels)
    }

    /// Calculates a quantile of the values of several series, for each combination of these labels.
    ///
    /// Use it for gauges: `0.5` is the median of the series. For a histogram, use [`quantile`](Self::quantile).
    pub fn quantile_by<L: Into<String>>(
        self,
        quantile: f64,
        labels: impl IntoIterator<Item = L>,
    ) -> Self {
        self.aggregated(Aggregation::Quantile(quantile), labels)
    }

    /// Selects the `count` series with the largest values.
    pub fn top(self, count: u32) -> Self {
        self.aggregated::<String>(Aggregation::Top(count), [])
    }

    /// Returns 1 if this query has no result, else nothing.
    ///
    /// A [`value`](Self::value) can be of any type here, also a counter or a histogram, because only its existence matters.
    /// If this query is a `value` or [`up`](Self::up), the result has the labels that are selected by [`with`](Self::with),
    /// and `job` in [`Rules`](crate::Rules) that are restricted to a job. Otherwise it has no labels.
    ///
    /// ```
    /// use tower_prometheus::HttpMetrics;
    /// use tower_prometheus_mixin::{Definitions, Query};
    ///
    /// let definitions = Definitions::new(HttpMetrics::server().families()?);
    /// let missing = Query::up().with("job", "shop").absent();
    /// assert_eq!(missing.to_promql(&definitions)?, "absent(up{job=\"shop\"})");
    /// let unused = Query::value("http_requests_total").with("endpoint", "/checkout").absent();
    /// assert_eq!(unused.to_promql(&definitions)?, "absent(http_requests_total{endpoint=\"/checkout\"})");
    /// # Ok::<(), tower_prometheus_mixin::Error>(())
    /// ```
    pub fn absent(mut self) -> Self {
        self.expression = Expression::Absent(Box::new(self.expression));
        self
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

    /// Keeps samples that are greater than `other`. `other` is a query or a number.
    pub fn above(self, other: impl Into<Self>) -> Self {
        self.binary(Operator::Above, other.into())
    }

    /// Keeps samples that are greater than or equal to `other`. `other` is a query or a number.
    pub fn at_least(self, other: impl Into<Self>) -> Self {
        self.binary(Operator::AtLeast, other.into())
    }

    /// Keeps samples that are less than `other`. `other` is a query or a number.
    pub fn below(self, other: impl Into<Self>) -> Self {
        self.binary(Operator::Below, other.into())
    }

    /// Keeps samples that are equal to `other`. `other` is a query or a number.
    pub fn equal_to(self, other: impl Into<Self>) -> Self {
        self.binary(Operator::Equal, other.into())
    }

    /// Keeps series whose labels equal those of a series of `other`.
    pub fn and(self, other: Self) -> Self {
        self.binary(Operator::And, other)
    }

    /// Adds the series of `other` whose labels no series of this query has.
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

    /// Returns the query as PromQL, with a range of 5 minutes unless [`over`](Self::over) sets another.
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
    /// - a regular expression is not valid in Prometheus;
    /// - a function does not fit the type of the metric, such as the rate of a gauge;
    /// - a quantile is not 0 to 1, a range is not a duration, or a bound is not a bound of the classic buckets that the query
    ///   reads;
    /// - a quantile is compared with a threshold that it cannot reach;
    /// - the operands of an operator have different labels, so that their series would not match;
    /// - a number is aggregated, or the operand of [`absent`](Self::absent);
    /// - two different families in `definitions` have the same name.
    pub fn to_promql(&self, definitions: &Definitions) -> Result<String, Error> {
        let scope = QueryScope {
            index: &definitions.index()?,
            common_matchers: &[],
            default_range: RULE_RANGE,
        };
        Ok(self.expression.to_promql(&scope)?.text)
    }

    /// Sets the legend of the series in a panel. `{{method}}` stands for the value of the label `method`.
    ///
    /// By default, the legend has the values of all labels except `job`, or the title of the panel if no label is left.
    /// Operators keep the legend of their left operand. Rules ignore the legend.
    pub fn legend(mut self, legend: impl Into<String>) -> Self {
        self.legend = Some(legend.into());
        self
    }
}

/// Converts a number into a query, for operators and comparisons.
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
