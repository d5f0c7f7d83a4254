//! [`Slo`]: a service level objective, its recording rules and its burn-rate alerts.

use crate::error::Error;
use crate::query::Query;
use crate::rules::{Rule, RuleGroup};
use crate::severity::Severity;
use crate::text::percent;

/// A service level objective over 30 days.
///
/// [`group`](Self::group) returns its rules. The error ratio over each window is recorded as
/// `job:slo_errors:ratio_rate1h{slo="…"}`. Each of four alerts fires if the error ratios over a long and a
/// short window both exceed the allowed ratio times a factor (Google's SRE workbook, "Alerting on SLOs"):
///
/// | severity | long window | short window | factor | part of the 30-day error budget spent when it fires |
/// |---|---|---|---|---|
/// | critical | 1h | 5m | 14.4 | 2 % |
/// | critical | 6h | 30m | 6 | 5 % |
/// | warning | 1d | 2h | 3 | 10 % |
/// | warning | 3d | 6h | 1 | 10 % |
///
/// The long window makes sure that the errors matter, the short window that they still occur.
///
/// ```
/// use tower_prometheus::HttpMetrics;
/// use tower_prometheus_mixin::{Rules, Slo};
///
/// let http = HttpMetrics::server().duration_buckets([0.1, 0.25, 0.5, 1.0]);
/// let rules = Rules::new(http.families()?)
///     .group(Slo::http_availability("shop", 0.999, &http)?.group()?)
///     .group(Slo::http_latency("shop_fast", 0.99, 0.25, &http)?.group()?);
/// let yaml = rules.to_yaml()?;
/// assert!(yaml.contains("> (14.4 * (1 - 0.999))"));
///
/// // No bucket ends at 0.3 s, so requests within 0.3 s could only be estimated.
/// let estimated = Slo::http_latency("shop_fast", 0.99, 0.3, &http)?.group()?;
/// let error = Rules::new(http.families()?).group(estimated).to_yaml().unwrap_err();
/// assert!(error.to_string().ends_with("the nearest are 0.25 and 0.5"));
/// # Ok::<(), tower_prometheus_mixin::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "an objective does nothing until its group is added to rules"]
pub struct Slo {
    name: String,
    objective: f64,
    errors: Query,
    by: Vec<String>,
    description: String,
}

/// Long window, short window, factor of the allowed error ratio, severity.
const BURN_RATES: [(&str, &str, f64, Severity); 4] = [
    ("1h", "5m", 14.4, Severity::Critical),
    ("6h", "30m", 6.0, Severity::Critical),
    ("1d", "2h", 3.0, Severity::Warning),
    ("3d", "6h", 1.0, Severity::Warning),
];

const WINDOWS: [&str; 7] = ["5m", "30m", "1h", "2h", "6h", "1d", "3d"];

/// The metric and the operation of the recorded error ratios, without the window.
const RECORDED: &str = "slo_errors:ratio_rate";

impl Slo {
    /// Creates the objective that at least this fraction of `all` is not `bad`. Both are usually rates of
    /// counters.
    pub fn availability(name: impl Into<String>, objective: f64, bad: Query, all: Query) -> Self {
        Self::new(
            name.into(),
            objective,
            Query::ratio(bad, all),
            "Look at which endpoints fail, and since when.",
        )
    }

    /// Creates the objective that at least this fraction of a histogram's observations is at most `within`,
    /// which must be one of its bucket bounds.
    pub fn latency(
        name: impl Into<String>,
        objective: f64,
        within: f64,
        family: impl Into<String>,
    ) -> Self {
        Self::new(
            name.into(),
            objective,
            Query::from(1.0) - Query::fraction_below(within, family),
            "Look at which endpoints are slow, and at what they wait for.",
        )
    }

    fn new(name: String, objective: f64, errors: Query, description: &str) -> Self {
        Self {
            name,
            objective,
            errors,
            by: vec!["job".to_owned()],
            description: description.to_owned(),
        }
    }

    /// Applies the objective to each combination of these labels, besides `job`.
    pub fn by<L: Into<String>>(mut self, labels: impl IntoIterator<Item = L>) -> Self {
        self.by.extend(labels.into_iter().map(L::into));
        self
    }

    /// Sets what the alerts tell the reader to do, after the numbers.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Returns the recording rules and the alerts.
    ///
    /// # Errors
    ///
    /// Returns an error if the objective is not below 1, or not above 0.9306. At 0.9306, 14.4 times the
    /// allowed error ratio is 1: the first alert could not fire.
    pub fn group(&self) -> Result<RuleGroup, Error> {
        let fastest = BURN_RATES[0].2;
        let least = 1.0 - 1.0 / fastest;
        if !(self.objective > least && self.objective < 1.0) {
            return Err(Error::new(format!(
                "SLO {:?}: objective must be above {least:.4}, where {fastest} times the allowed error ratio is 1, and \
                 below 1, got {}",
                self.name, self.objective,
            )));
        }
        let mut group = RuleGroup::new(format!("slo-{}", self.name));
        for window in WINDOWS {
            let errors = self.errors.clone().over(window).by(&self.by);
            group = group
                .rule(Rule::record(self.recorded(window), errors).label("slo", self.name.as_str()));
        }
        for burn_rate in BURN_RATES {
            group = group.rule(self.alert(burn_rate));
        }
        Ok(group)
    }

    fn recorded(&self, window: &str) -> String {
        format!("{}:{RECORDED}{window}", self.by.join("_"))
    }

    fn alert(&self, (long, short, factor, severity): (&str, &str, f64, Severity)) -> Rule {
        let allowed = || Query::from(factor) * (Query::from(1.0) - self.objective);
        let exceeds = |window: &str| {
            let errors = Query::value(self.recorded(window));
            errors.with("slo", self.name.as_str()).above(allowed())
        };
        Rule::alert("ErrorBudgetBurn", exceeds(long).and(exceeds(short)))
            .severity(severity)
            .label("slo", self.name.as_str())
            .label("long", long)
            .label("short", short)
            .summary(format!(
                "{{{{ $labels.job }}}} burns the error budget of {} at {factor} times the rate it has for 30 days",
                self.name
            ))
            .description(format!(
                "Of all requests, {{{{ $value | humanizePercentage }}}} missed the objective in the last {long}, where {} may. {}",
                percent(1.0 - self.objective),
                self.description
            ))
    }
}
