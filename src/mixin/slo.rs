//! [`Slo`]: an objective, and the alerts that say how fast its error budget burns.

use super::panel::Severity;
use super::query::Query;
use super::rules::{Rule, RuleGroup};
use crate::Error;

/// A service level objective over 30 days.
///
/// It becomes a group of rules: the ratio of errors over each window is recorded as
/// `job:slo_errors:ratio_rate1h{slo="…"}`, and four pairs of windows alert, each when both exceed their factor
/// of the budget (Google's SRE workbook, "Alerting on SLOs"):
///
/// | severity | long | short | factor | of the budget of 30 days, when it fires |
/// |---|---|---|---|---|
/// | critical | 1h | 5m | 14.4 | 2 % |
/// | critical | 6h | 30m | 6 | 5 % |
/// | warning | 1d | 2h | 3 | 10 % |
/// | warning | 3d | 6h | 1 | 10 % |
///
/// The long window says that it is worth waking somebody, the short one that it still goes on.
///
/// ```
/// use tower_prometheus::HttpMetrics;
/// use tower_prometheus::mixin::{Rules, Slo};
///
/// let http = HttpMetrics::server().duration_buckets([0.1, 0.25, 0.5, 1.0]);
/// let rules = Rules::new(http.families()?)
///     .group(Slo::http_availability("shop", 0.999, &http)?.group()?)
///     .group(Slo::http_latency("shop_fast", 0.99, 0.25, &http)?.group()?);
/// let yaml = rules.to_yaml()?;
/// assert!(yaml.contains("> (14.4 * (1 - 0.999))"));
///
/// // Within 0.3 s would have to be guessed: no bucket ends there.
/// let guessed = Slo::http_latency("shop_fast", 0.99, 0.3, &http)?.group()?;
/// let error = Rules::new(http.families()?).group(guessed).to_yaml().unwrap_err();
/// assert!(error.to_string().ends_with("the nearest are 0.25 and 0.5"));
/// # Ok::<(), tower_prometheus::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "an objective does nothing until its group is in a file of rules"]
pub struct Slo {
    name: String,
    objective: f64,
    errors: Query,
    by: Vec<String>,
    description: String,
}

/// Long and short window, the factor, and how bad it is.
const BURNS: [(&str, &str, f64, Severity); 4] = [
    ("1h", "5m", 14.4, Severity::Critical),
    ("6h", "30m", 6.0, Severity::Critical),
    ("1d", "2h", 3.0, Severity::Warning),
    ("3d", "6h", 1.0, Severity::Warning),
];

const WINDOWS: [&str; 7] = ["5m", "30m", "1h", "2h", "6h", "1d", "3d"];

const RECORDED: &str = "slo_errors:ratio_rate";

impl Slo {
    /// That this share of `all` is not `bad`: two rates of counters, say.
    pub fn availability(name: impl Into<String>, objective: f64, bad: Query, all: Query) -> Self {
        Self::new(
            name.into(),
            objective,
            Query::ratio(bad, all),
            "Look at which endpoints fail, and since when.",
        )
    }

    /// That this share of a histogram's samples is at most `within`, one of its bucket bounds.
    pub fn latency(
        name: impl Into<String>,
        objective: f64,
        within: f64,
        family: impl Into<String>,
    ) -> Self {
        Self::new(
            name.into(),
            objective,
            Query::from(1.0) - Query::share_within(within, family),
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

    /// One objective for each value of these labels, beside `job`.
    pub fn by<L: Into<String>>(mut self, labels: impl IntoIterator<Item = L>) -> Self {
        self.by.extend(labels.into_iter().map(L::into));
        self
    }

    /// What whoever is woken should do.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// The recordings and the alerts.
    ///
    /// # Errors
    ///
    /// When the objective is not below 1, or so low that the fastest burn could never be reached: at 14.4
    /// times the budget, all requests fail at an objective of 0.9306.
    pub fn group(&self) -> Result<RuleGroup, Error> {
        let fastest = BURNS[0].2;
        let least = 1.0 - 1.0 / fastest;
        if !(self.objective > least && self.objective < 1.0) {
            return Err(Error::new(format!(
                "objective {} of {:?} cannot be alerted on: it must be above {least:.4}, where {fastest} times the \
                 errors allowed are all requests, and below 1",
                self.objective, self.name,
            )));
        }
        let mut group = RuleGroup::new(format!("slo-{}", self.name));
        for window in WINDOWS {
            let errors = self.errors.clone().over(window).by(&self.by);
            group = group
                .rule(Rule::record(self.recorded(window), errors).label("slo", self.name.as_str()));
        }
        for burn in BURNS {
            group = group.rule(self.alert(burn));
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

/// `0.1 %`, without the noise of binary fractions.
fn percent(ratio: f64) -> String {
    let rounded = (ratio * 100.0 * 1e6).round() / 1e6;
    format!("{rounded} %")
}
