//! [`Slo`]: a service level objective, its recording rules and its burn-rate alerts.

use crate::error::Error;
use crate::panel::{Panel, PanelUnit, Row};
use crate::query::Query;
use crate::rules::{Rule, RuleGroup};
use crate::severity::Severity;
use crate::text::percent;

/// A service level objective (SLO) over 30 days.
///
/// [`row`](Self::row) returns panels with its remaining error budget and its burn rate. [`group`](Self::group) returns its
/// recording rules and its alerts. The recording rules record the error ratio over each
/// window, as `job:slo_errors:ratio_rate1h{slo="…"}` and so on. Four alerts named `ErrorBudgetBurn` compare it with the
/// allowed error ratio, which is 1 minus the objective. An alert fires if the error ratios over its long and its short
/// window both exceed the allowed ratio times its factor (Google's SRE workbook, "Alerting on SLOs"):
///
/// | severity | long window | short window | factor | 30-day error budget spent when it fires |
/// |---|---|---|---|---|
/// | critical | 1h | 5m | 14.4 | 2 % |
/// | critical | 6h | 30m | 6 | 5 % |
/// | warning | 1d | 2h | 3 | 10 % |
/// | warning | 3d | 6h | 1 | 10 % |
///
/// The long window ignores short spikes. The short window ends the alert soon after the errors stop.
///
/// The ratios are those of the requests in a window. If there are few, as at night or just after the first deployment,
/// a single failure can exceed the allowed ratio. A service with less than about one request per second needs a lower
/// objective.
///
/// ```
/// use tower_prometheus::{HttpMetrics, Registry};
/// use tower_prometheus_mixin::{Definitions, Rules, Slo};
///
/// let http = HttpMetrics::server().duration_buckets([0.1, 0.25, 0.5, 1.0]);
/// let rules = Rules::new(http.families()?)
///     .group(Slo::http_availability("shop", 0.999, &http)?.group()?)
///     .group(Slo::http_latency("shop_fast", 0.99, 0.25, &http)?.group()?);
/// let yaml = rules.to_yaml()?;
/// assert!(yaml.contains("> (14.4 * (1 - 0.999))"));
///
/// // 0.3 s is not a bound of the classic buckets, so the number of requests within 0.3 s could only be estimated.
/// let fast = Slo::http_latency("shop_fast", 0.99, 0.3, &http)?.group()?;
/// let error = Rules::new(http.families()?).group(fast.clone()).to_yaml().unwrap_err();
/// assert!(error.to_string().ends_with("use native histograms, or a bound: the nearest are 0.25 and 0.5"));
///
/// let registry = Registry::builder().native_histograms(1.1).build()?;
/// let definitions = Definitions::new(http.families()?).histograms_in(&registry);
/// assert!(Rules::new(definitions).group(fast).to_yaml()?.contains("histogram_fraction(-Inf, 0.3, "));
/// # Ok::<(), tower_prometheus_mixin::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "an objective does nothing until its group is added to rules"]
pub struct Slo {
    name: String,
    objective: f64,
    errors: Query,
    by: Vec<String>,
    /// The words for events that miss the objective, in descriptions of alerts: `failed` or `were too slow`.
    bad: &'static str,
    /// The name of the counted events: `requests`, `calls` or `events`.
    events: &'static str,
    description: String,
    runbook_url: Option<String>,
}

/// The long window, the short window, the factor of the allowed error ratio and the severity of each alert.
const BURN_RATES: [(&str, &str, f64, Severity); 4] = [
    ("1h", "5m", 14.4, Severity::Critical),
    ("6h", "30m", 6.0, Severity::Critical),
    ("1d", "2h", 3.0, Severity::Warning),
    ("3d", "6h", 1.0, Severity::Warning),
];

/// The windows over which error ratios are recorded: all windows of [`BURN_RATES`].
const WINDOWS: [&str; 7] = ["5m", "30m", "1h", "2h", "6h", "1d", "3d"];

/// The end of the names of recorded error ratios, without the window.
const RECORDED: &str = "slo_errors:ratio_rate";

impl Slo {
    /// Creates an objective for the fraction of `all` that is not `bad`: at least `objective`, such as 0.999.
    ///
    /// `name` becomes the label `slo`. `bad` and `all` are usually rates of counters. Series missing in `bad` count as
    /// 0. For the metrics of a layer, use [`http_availability`](Self::http_availability) or
    /// [`grpc_availability`](Self::grpc_availability).
    pub fn availability(name: impl Into<String>, objective: f64, bad: Query, all: Query) -> Self {
        Self::new(
            name.into(),
            objective,
            Query::ratio(bad, all),
            ("failed", "Find out which ones fail, and since when."),
        )
    }

    /// Creates an objective for the fraction of a histogram's observations that are at most `within`: at least
    /// `objective`, such as 0.99.
    ///
    /// `name` becomes the label `slo`. `within` is in the unit of the histogram. It must be a bound of the classic buckets if
    /// queries read these: without [native histograms](crate#native-histograms), and with
    /// [`mixed_histograms`](crate::Definitions::mixed_histograms). Otherwise it can be any number. For the metrics of a layer,
    /// use [`http_latency`](Self::http_latency) or [`grpc_latency`](Self::grpc_latency).
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
            (
                "were too slow",
                "Find out which ones are slow, and what they wait for.",
            ),
        )
    }

    fn new(
        name: String,
        objective: f64,
        errors: Query,
        (bad, description): (&'static str, &str),
    ) -> Self {
        Self {
            name,
            objective,
            errors,
            by: vec!["job".to_owned()],
            bad,
            events: "events",
            description: description.to_owned(),
            runbook_url: None,
        }
    }

    /// Sets the name of the counted events, for texts.
    pub(crate) fn of(mut self, events: &'static str) -> Self {
        self.events = events;
        self
    }

    /// Changes the query of the error ratio, for example to exclude series.
    pub(crate) fn filter(mut self, change: impl FnOnce(Query) -> Query) -> Self {
        self.errors = change(self.errors);
        self
    }

    /// Applies the objective to each combination of these labels and `job`. By default, it applies to each `job`.
    ///
    /// The labels become part of the recorded names: `job_endpoint:slo_errors:ratio_rate1h`.
    pub fn by<L: Into<String>>(mut self, labels: impl IntoIterator<Item = L>) -> Self {
        self.by.extend(labels.into_iter().map(L::into));
        self
    }

    /// Sets the last part of the alerts' descriptions: where to look. The first part has the error ratio, the allowed
    /// ratio and the time until the error budget is spent. By default, it depends on the kind of the objective.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Sets the [`runbook_url`](Rule::runbook_url) of the alerts. By default, the alerts have no `runbook_url`.
    pub fn runbook_url(mut self, url: impl Into<String>) -> Self {
        self.runbook_url = Some(url.into());
        self
    }

    /// Returns the row `SLO {name}` for a dashboard.
    ///
    /// | panel | value |
    /// |---|---|
    /// | Error budget left | 1 minus the error ratio of the last 30 days divided by the allowed ratio: 1 if nothing failed, 0 if the budget is spent, below 0 if the objective is missed |
    /// | Burn rate | the error ratio of the last hour divided by the allowed ratio: at 1, the budget lasts 30 days |
    ///
    /// The queries read the metrics themselves, so they do not need the recording rules of [`group`](Self::group). If
    /// Prometheus keeps samples for less than 30 days (its default is 15), the budget is that of the samples it has.
    ///
    /// ```
    /// use tower_prometheus::HttpMetrics;
    /// use tower_prometheus_mixin::{Dashboard, Slo};
    ///
    /// let http = HttpMetrics::server();
    /// let slo = Slo::http_availability("shop", 0.999, &http)?;
    /// let dashboard = Dashboard::http("shop-http", "Shop: HTTP", &http)?.row(slo.row()?);
    /// assert!(dashboard.to_json()?.contains("Error budget left"));
    /// # Ok::<(), tower_prometheus_mixin::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`group`](Self::group).
    pub fn row(&self) -> Result<Row, Error> {
        self.check()?;
        let legend: Vec<_> = self.by.iter().map(|by| format!("{{{{{by}}}}}")).collect();
        let spent = |window: &str| {
            let errors = self.errors.clone().over(window).by(&self.by);
            errors / (Query::from(1.0) - self.objective)
        };
        let left = (Query::from(1.0) - spent("30d")).legend(legend.join(" "));
        let allowed = percent(1.0 - self.objective);
        Ok(Row::new(format!("SLO {}", self.name))
            .panel(
                Panel::stat("Error budget left", PanelUnit::Ratio)
                    .size(8, 8)
                    .threshold(f64::NEG_INFINITY, Severity::Critical)
                    .threshold(0.0, Severity::Warning)
                    .threshold(0.25, Severity::Info)
                    .description(format!(
                        "Share of the error budget of the last 30 days that is left. The budget is {allowed} of all {}. Below 0, the objective is missed: stop risky changes.",
                        self.events
                    ))
                    .query(left),
            )
            .panel(
                Panel::time_series("Burn rate", PanelUnit::Count)
                    .size(16, 8)
                    .min(0.0)
                    .threshold(1.0, Severity::Warning)
                    .threshold(BURN_RATES[0].2, Severity::Critical)
                    .description(format!(
                        "Error ratio of the last hour divided by the allowed ratio, {allowed}. At 1, the error budget lasts 30 days; at {}, {}. Above 1: see when it started, and what was deployed then.",
                        BURN_RATES[0].2,
                        time_to_spend(BURN_RATES[0].2)
                    ))
                    .query(spent("1h").legend(legend.join(" "))),
            ))
    }

    /// Returns the group `slo-{name}` with seven recording rules and four alerts.
    ///
    /// # Errors
    ///
    /// Returns an error if the objective is not above 0.9306 and below 1. At 0.9306, 14.4 times the allowed error ratio
    /// is 1, so the first alert could not fire.
    pub fn group(&self) -> Result<RuleGroup, Error> {
        self.check()?;
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

    fn check(&self) -> Result<(), Error> {
        let fastest = BURN_RATES[0].2;
        let least = 1.0 - 1.0 / fastest;
        if self.objective > least && self.objective < 1.0 {
            return Ok(());
        }
        Err(Error::new(format!(
            "SLO {:?}: objective must be above {least:.4}, where {fastest} times the allowed error ratio is 1, and \
             below 1, got {}",
            self.name, self.objective,
        )))
    }

    /// Returns the name of the recorded error ratio over a window.
    fn recorded(&self, window: &str) -> String {
        format!("{}:{RECORDED}{window}", self.by.join("_"))
    }

    fn alert(&self, (long, short, factor, severity): (&str, &str, f64, Severity)) -> Rule {
        let allowed = || Query::from(factor) * (Query::from(1.0) - self.objective);
        let exceeds = |window: &str| {
            let errors = Query::value(self.recorded(window));
            errors.with("slo", self.name.as_str()).above(allowed())
        };
        let rule = Rule::alert("ErrorBudgetBurn", exceeds(long).and(exceeds(short)))
            .severity(severity)
            .label("slo", self.name.as_str())
            .label("long", long)
            .label("short", short)
            .summary(self.summary(factor))
            .description(format!(
                "In the last {long}, {{{{ $value | humanizePercentage }}}} of all {} {}; the objective allows {}. At this rate, the error budget of 30 days is spent in less than {}. {}",
                self.events,
                self.bad,
                percent(1.0 - self.objective),
                time_to_spend(factor),
                self.description
            ));
        match &self.runbook_url {
            Some(url) => rule.runbook_url(url.as_str()),
            None => rule,
        }
    }

    fn summary(&self, factor: f64) -> String {
        let series = self.by.iter().map(|label| match label.as_str() {
            "job" => "{{ $labels.job }}".to_owned(),
            label => format!("{label} {{{{ $labels.{label} }}}}"),
        });
        let series: Vec<_> = series.collect();
        let how_fast = match factor {
            1.0 => "too fast".to_owned(),
            _ => format!("{factor} times too fast"),
        };
        format!(
            "{}: SLO \"{}\" burns its error budget {how_fast}",
            series.join(", "),
            self.name
        )
    }
}

/// Returns the time in which the error budget of 30 days is spent at this multiple of the allowed error ratio.
fn time_to_spend(factor: f64) -> String {
    let hours = 30.0 * 24.0 / factor;
    match hours < 72.0 {
        true => format!("{hours:.0} hours"),
        false => format!("{:.0} days", hours / 24.0),
    }
}
