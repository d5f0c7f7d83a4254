//! [`Rules`], [`RuleGroup`] and [`Rule`]: alerting and recording rules.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use tower_prometheus::model::names::{check_label_name, check_metric_name};

use crate::definitions::{Definitions, FamilyIndex};
use crate::error::Error;
use crate::expression::PromQl;
use crate::query::Query;
use crate::selector::{MatchValue, Matcher, QueryScope, RULE_RANGE};
use crate::severity::Severity;
use crate::template::check_template;
use crate::text::{LabelNames, check_duration};
use crate::yaml;

/// A file of alerting and recording rules, for Prometheus' `rule_files` and for vmalert.
///
/// ```
/// use tower_prometheus::HttpMetrics;
/// use tower_prometheus_mixin::{Query, Rule, RuleGroup, Rules, Severity};
///
/// let aborted = Rule::alert(
///     "ManyAbortedBodies",
///     Query::rate("http_response_bodies_aborted_total").by(["job", "reason"]).above(1.0),
/// )
/// .for_duration("5m")
/// .severity(Severity::Warning)
/// .summary("{{ $labels.job }}: more than 1 response body per second is aborted ({{ $labels.reason }})")
/// .description("`dropped`: clients disconnect; check the durations. `error`: check the log.");
/// let yaml = Rules::new(HttpMetrics::server().families()?)
///     .group(RuleGroup::new("shop").rule(aborted))
///     .to_yaml()?;
/// assert!(yaml.contains("alert: ManyAbortedBodies"));
/// # Ok::<(), tower_prometheus_mixin::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "rules do nothing until they are written"]
pub struct Rules {
    definitions: Definitions,
    job: Option<String>,
    groups: Vec<RuleGroup>,
}

/// A group of rules that Prometheus evaluates in order.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a group does nothing until it is added to rules"]
pub struct RuleGroup {
    name: String,
    interval: Option<String>,
    runbook_url: Option<String>,
    rules: Vec<Rule>,
}

/// An alert or a recording rule.
///
/// Create it with [`Rule::alert`] or [`Rule::record`]. [`for_duration`](Self::for_duration), [`summary`](Self::summary),
/// [`description`](Self::description) and [`runbook_url`](Self::runbook_url) are only for alerts: with one of them, a
/// recording rule is an error.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a rule does nothing until it is added to a group"]
pub struct Rule {
    name: String,
    query: Query,
    kind: RuleKind,
    labels: BTreeMap<String, String>,
    alert: AlertSettings,
    needs_job: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RuleKind {
    Alert,
    Record,
}

/// The settings that only alerts have.
#[derive(Clone, Debug, Default, PartialEq)]
struct AlertSettings {
    for_duration: Option<String>,
    summary: String,
    description: String,
    runbook_url: Option<String>,
}

impl Rules {
    /// Creates a file without groups, whose queries are checked against these definitions.
    pub fn new(definitions: impl Into<Definitions>) -> Self {
        Self {
            definitions: definitions.into(),
            job: None,
            groups: Vec::new(),
        }
    }

    /// Restricts all queries to series of this scrape job. By default, the rules query the series of all jobs.
    ///
    /// The alert `TargetsMissing` of [`RuleGroup::health`] needs it, because Prometheus does not know which jobs should exist.
    pub fn job(mut self, job: impl Into<String>) -> Self {
        self.job = Some(job.into());
        self
    }

    /// Adds a group. Its rules can query series that earlier rules record, in this or in earlier groups.
    pub fn group(mut self, group: RuleGroup) -> Self {
        self.groups.push(group);
        self
    }

    /// Returns the file as YAML.
    ///
    /// # Errors
    ///
    /// Returns an error that names the rule if
    ///
    /// - a query is not valid, as described at [`Query::to_promql`];
    /// - an alert has no severity, summary or description;
    /// - Prometheus would refuse a template, or it uses a label that the query does not keep, in an annotation or a label of
    ///   an alert;
    /// - a recording rule has a setting that only alerts have;
    /// - a runbook URL does not start with `https://` or `http://`;
    /// - a query selects another job than [`job`](Self::job);
    /// - the name of an alert has characters other than letters and digits, or the name of a recorded series is not
    ///   `level:metric:operations`;
    /// - a label name or a duration is not valid;
    /// - two groups have the same name, or two rules have the same name and labels;
    /// - two recording rules with the same name keep different labels, or a recorded series has the name of a metric family.
    pub fn to_yaml(&self) -> Result<String, Error> {
        let mut index = self.definitions.index()?;
        let job = self.job.as_ref().map(|job| Matcher {
            label: "job".to_owned(),
            value: MatchValue::Equal(job.clone()),
        });
        let common_matchers: Vec<_> = job.into_iter().collect();
        let mut groups: Vec<GroupYaml<'_>> = Vec::new();
        self.check_rules_differ()?;
        for group in &self.groups {
            if groups.iter().any(|other| other.name == group.name) {
                return Err(Error::new(format!(
                    "two rule groups have the name {:?}; rename one",
                    group.name
                )));
            }
            groups.push(group.to_yaml_model(&mut index, &common_matchers)?);
        }
        yaml::write(&RulesYaml { groups }, "rules")
    }

    /// Returns an error if two rules have the same name and labels, because they would write the same series.
    fn check_rules_differ(&self) -> Result<(), Error> {
        let mut seen = BTreeSet::new();
        for rule in self.groups.iter().flat_map(|group| &group.rules) {
            if !seen.insert((&rule.name, &rule.labels)) {
                return Err(Error::new(format!(
                    "two rules have the name {:?} and the same labels; add a label that differs",
                    rule.name
                )));
            }
        }
        Ok(())
    }
}

impl RuleGroup {
    /// Creates an empty group. The name is unique in the file.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            interval: None,
            runbook_url: None,
            rules: Vec::new(),
        }
    }

    /// Sets the evaluation interval, such as `30s`. Default: `evaluation_interval` of Prometheus.
    pub fn interval(mut self, interval: impl Into<String>) -> Self {
        self.interval = Some(interval.into());
        self
    }

    /// Sets the [`runbook_url`](Rule::runbook_url) of all alerts of the group that have none. `{alert}` stands for the name
    /// of the alert.
    ///
    /// ```
    /// use tower_prometheus::HttpMetrics;
    /// use tower_prometheus_mixin::{RuleGroup, Rules};
    ///
    /// let families = HttpMetrics::server().families()?;
    /// let health = RuleGroup::health("health", &families).runbook_url("https://wiki.example/runbooks/{alert}");
    /// let yaml = Rules::new(families).group(health).to_yaml()?;
    /// assert!(yaml.contains("runbook_url: https://wiki.example/runbooks/ScrapeFailing"));
    /// # Ok::<(), tower_prometheus_mixin::Error>(())
    /// ```
    pub fn runbook_url(mut self, url: impl Into<String>) -> Self {
        self.runbook_url = Some(url.into());
        self
    }

    /// Adds a rule after the existing ones.
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    fn to_yaml_model<'a>(
        &'a self,
        index: &mut FamilyIndex,
        common_matchers: &[Matcher],
    ) -> Result<GroupYaml<'a>, Error> {
        let has_job = !common_matchers.is_empty();
        if let Some(interval) = &self.interval {
            check_duration(interval)?;
        }
        let mut rules = Vec::new();
        for rule in self.rules.iter().filter(|rule| has_job || !rule.needs_job) {
            let url = self.runbook_url.as_deref();
            let yaml = rule.to_yaml_model(index, common_matchers, url);
            rules.push(yaml.map_err(|error| error.within(format_args!("rule {:?}", rule.name)))?);
        }
        Ok(GroupYaml {
            name: &self.name,
            interval: self.interval.as_deref(),
            rules,
        })
    }
}

impl Rule {
    /// Creates an alerting rule: each series in the result of the query is an alert.
    ///
    /// The name consists of letters and digits, usually in `CamelCase`. [`severity`](Self::severity),
    /// [`summary`](Self::summary) and [`description`](Self::description) are required.
    pub fn alert(name: impl Into<String>, query: Query) -> Self {
        Self::new(name.into(), query, RuleKind::Alert)
    }

    /// Creates a recording rule.
    ///
    /// The name is `level:metric:operations`, where the level lists the labels that the query keeps:
    /// `job_endpoint:http_requests:rate5m`. Later rules query the recorded series with [`Query::value`].
    pub fn record(name: impl Into<String>, query: Query) -> Self {
        Self::new(name.into(), query, RuleKind::Record)
    }

    fn new(name: String, query: Query, kind: RuleKind) -> Self {
        Self {
            name,
            query,
            kind,
            labels: BTreeMap::new(),
            alert: AlertSettings::default(),
            needs_job: false,
        }
    }

    /// Omits the rule from [`Rules`] without a [`job`](Rules::job).
    pub(crate) fn needs_job(mut self) -> Self {
        self.needs_job = true;
        self
    }

    /// Sets how long the query must have a result before the alert fires, such as `10m` (`for` in the file). By default, the
    /// alert fires immediately.
    pub fn for_duration(mut self, duration: impl Into<String>) -> Self {
        self.alert.for_duration = Some(duration.into());
        self
    }

    /// Sets the label `severity` to `info`, `warning` or `critical`.
    pub fn severity(self, severity: Severity) -> Self {
        self.label("severity", severity.label())
    }

    /// Adds a label to the alert or the recorded series. It replaces a label of the same name.
    ///
    /// The value of an alert's label is a template, as the [`summary`](Self::summary). That of a recorded series is not.
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(name.into(), value.into());
        self
    }

    /// Sets the summary of an alert: one line that says what is wrong.
    ///
    /// It is a template: Prometheus replaces `{{ $labels.endpoint }}` with the value of a label that the query keeps, and
    /// `{{ $value }}` with the value of the query. `{{ $value | humanizePercentage }}` calls one of
    /// [Prometheus' functions](https://prometheus.io/docs/prometheus/latest/configuration/template_reference/).
    ///
    /// Generating the file returns an error if Prometheus would refuse the template, or if it uses a label that the query
    /// does not keep. The number and types of a function's arguments are not checked, nor labels in
    /// `{{ index $labels "name" }}`. The functions `now` and `toDuration` need Prometheus 3.
    pub fn summary(mut self, summary: impl Into<String>) -> Self {
        self.alert.summary = summary.into();
        self
    }

    /// Sets the description of an alert: what it means, and what to do about it. Placeholders are the same as in the
    /// [`summary`](Self::summary).
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.alert.description = description.into();
        self
    }

    /// Sets the URL of a page that says how to handle the alert, as the annotation `runbook_url`. It starts with `https://` or
    /// `http://`. By default, it is that of the [`RuleGroup`](RuleGroup::runbook_url), if any.
    pub fn runbook_url(mut self, url: impl Into<String>) -> Self {
        self.alert.runbook_url = Some(url.into());
        self
    }

    /// Returns the rule for the file. `runbook_url` is that of the group.
    fn to_yaml_model<'a>(
        &'a self,
        index: &mut FamilyIndex,
        common_matchers: &[Matcher],
        runbook_url: Option<&str>,
    ) -> Result<RuleYaml<'a>, Error> {
        let scope = QueryScope {
            index,
            common_matchers,
            default_range: RULE_RANGE,
        };
        let PromQl { text, labels, .. } = self.query.expression.to_promql(&scope)?;
        let mut labels = labels.unwrap_or_default();
        self.labels
            .keys()
            .try_for_each(|name| check_label_name(name))?;
        let mut yaml = RuleYaml {
            record: None,
            alert: None,
            expr: text,
            for_duration: None,
            labels: &self.labels,
            annotations: BTreeMap::new(),
        };
        match self.kind {
            RuleKind::Record => {
                check_recorded_name(&self.name)?;
                self.alert.check_unset()?;
                labels.extend(self.labels.keys().cloned());
                index.add_recorded(&self.name, labels)?;
                yaml.record = Some(&self.name);
            }
            RuleKind::Alert => {
                self.check_alert(&labels)?;
                yaml.alert = Some(&self.name);
                yaml.for_duration = self.alert.for_duration.as_deref();
                yaml.annotations = self.annotations(runbook_url, &labels)?;
            }
        }
        Ok(yaml)
    }

    /// Checks the parts of an alert, except its annotations. `labels` are those that the query keeps.
    fn check_alert(&self, labels: &LabelNames) -> Result<(), Error> {
        let name = &self.name;
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Err(Error::new(format!(
                "the name of an alert must be letters and digits, got {name:?}"
            )));
        }
        let missing = [
            (
                "severity",
                !self.labels.contains_key("severity") && !labels.contains("severity"),
            ),
            ("summary", self.alert.summary.is_empty()),
            ("description", self.alert.description.is_empty()),
        ];
        if let Some((what, _)) = missing.into_iter().find(|(_, missing)| *missing) {
            return Err(Error::new(format!("{what} is missing")));
        }
        let for_duration = self.alert.for_duration.as_deref();
        for_duration.map(check_duration).transpose()?;
        let mut values = self.labels.values();
        values.try_for_each(|value| check_template(value, labels))
    }

    /// Returns the annotations of an alert. `runbook_url` is that of the group.
    fn annotations(
        &self,
        runbook_url: Option<&str>,
        labels: &LabelNames,
    ) -> Result<BTreeMap<&'static str, String>, Error> {
        let mut annotations: BTreeMap<_, _> = [
            ("summary", self.alert.summary.clone()),
            ("description", self.alert.description.clone()),
        ]
        .into();
        let own = self.alert.runbook_url.clone();
        let url = own.or_else(|| Some(runbook_url?.replace("{alert}", &self.name)));
        if let Some(url) = url {
            if !url.starts_with("https://") && !url.starts_with("http://") {
                return Err(Error::new(format!(
                    "runbook_url must start with \"https://\" or \"http://\", got {url:?}"
                )));
            }
            annotations.insert("runbook_url", url);
        }
        let mut values = annotations.values();
        values.try_for_each(|text| check_template(text, labels))?;
        Ok(annotations)
    }
}

impl AlertSettings {
    /// Returns an error if a recording rule has a setting that only alerts have.
    fn check_unset(&self) -> Result<(), Error> {
        let set = [
            ("for_duration", self.for_duration.is_some()),
            ("summary", !self.summary.is_empty()),
            ("description", !self.description.is_empty()),
            ("runbook_url", self.runbook_url.is_some()),
        ];
        match set.into_iter().find(|(_, is_set)| *is_set) {
            None => Ok(()),
            Some((setting, _)) => Err(Error::new(format!(
                "{setting} is only for alerts, and this is a recording rule; remove it, or use `Rule::alert`"
            ))),
        }
    }
}

fn check_recorded_name(name: &str) -> Result<(), Error> {
    check_metric_name(name)?;
    let parts: Vec<_> = name.split(':').collect();
    if parts.len() >= 3 && parts.iter().all(|part| !part.is_empty()) {
        return Ok(());
    }
    Err(Error::new(format!(
        "the name of a recorded series must be `level:metric:operations`, as in `job:http_requests:rate5m`, \
         got {name:?}"
    )))
}

#[derive(Serialize)]
struct RulesYaml<'a> {
    groups: Vec<GroupYaml<'a>>,
}

#[derive(Serialize)]
struct GroupYaml<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<&'a str>,
    rules: Vec<RuleYaml<'a>>,
}

#[derive(Serialize)]
struct RuleYaml<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alert: Option<&'a str>,
    expr: String,
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    for_duration: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'static str, String>,
}
