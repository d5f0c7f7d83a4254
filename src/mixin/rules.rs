//! [`Rules`], [`RuleGroup`] and [`Rule`]: what Prometheus records and what it wakes people for.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::definitions::{Definitions, Known};
use super::expression::{Place, RULE_WINDOW, Written};
use super::panel::Severity;
use super::query::{Labels, Query};
use super::selector::{Match, Matcher, check_duration, listed};
use super::yaml;
use crate::Error;
use crate::registry::{check_label_name, check_metric_name};

/// A file of alert and recording rules, for Prometheus' `rule_files` and for vmalert.
///
/// ```
/// use tower_prometheus::HttpMetrics;
/// use tower_prometheus::mixin::{Query, Rule, RuleGroup, Rules, Severity};
///
/// let aborted = Rule::alert(
///     "ManyAbortedBodies",
///     Query::rate("http_response_bodies_aborted_total").by(["job", "reason"]).above(1.0),
/// )
/// .lasting("5m")
/// .severity(Severity::Warning)
/// .summary("Responses of {{ $labels.job }} are cut off: {{ $labels.reason }}")
/// .description("`dropped`: clients leave; look at durations. `error`: look at the log.");
/// let yaml = Rules::new(HttpMetrics::server().families()?)
///     .group(RuleGroup::new("shop").rule(aborted))
///     .to_yaml()?;
/// assert!(yaml.contains("alert: ManyAbortedBodies"));
/// # Ok::<(), tower_prometheus::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "rules do nothing until they are written"]
pub struct Rules {
    definitions: Definitions,
    job: Option<String>,
    groups: Vec<RuleGroup>,
}

/// Rules that are evaluated one after the other.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a group does nothing until a file of rules has it"]
pub struct RuleGroup {
    name: String,
    interval: Option<String>,
    rules: Vec<Rule>,
}

/// An alert, or a series that is recorded.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a rule does nothing until a group has it"]
pub struct Rule {
    name: String,
    query: Query,
    alert: Option<Alert>,
    labels: BTreeMap<String, String>,
}

/// What an alert has and a recording has not.
#[derive(Clone, Debug, Default, PartialEq)]
struct Alert {
    lasting: Option<String>,
    summary: String,
    description: String,
}

impl Rules {
    /// An empty file over these definitions.
    pub fn new(definitions: impl Into<Definitions>) -> Self {
        Self {
            definitions: definitions.into(),
            job: None,
            groups: Vec::new(),
        }
    }

    /// Heeds only series of this scrape job; of all jobs unless said otherwise.
    pub fn job(mut self, job: impl Into<String>) -> Self {
        self.job = Some(job.into());
        self
    }

    /// Adds a group. Its rules can ask for what rules of this and earlier groups record.
    pub fn group(mut self, group: RuleGroup) -> Self {
        self.groups.push(group);
        self
    }

    /// The file, as YAML.
    ///
    /// # Errors
    ///
    /// When a query asks for what is not defined, an alert lacks its severity, summary or description,
    /// a name is used twice or is not one, or a recorded series is not named `level:metric:operations`.
    pub fn to_yaml(&self) -> Result<String, Error> {
        let mut known = self.definitions.index()?;
        let job = self.job.as_ref().map(|job| Matcher {
            label: "job".to_owned(),
            value: Match::Is(job.clone()),
        });
        let everywhere: Vec<_> = job.into_iter().collect();
        let mut groups: Vec<WrittenGroup<'_>> = Vec::new();
        self.check_rules_differ()?;
        for group in &self.groups {
            if groups.iter().any(|other| other.name == group.name) {
                return Err(Error::new(format!(
                    "there are two groups of rules called {:?}",
                    group.name
                )));
            }
            groups.push(group.written(&mut known, &everywhere)?);
        }
        yaml::write(&WrittenRules { groups }, "rules")
    }

    /// Refuses two rules that differ neither in name nor in labels: they would write the same series.
    fn check_rules_differ(&self) -> Result<(), Error> {
        let mut known = BTreeSet::new();
        for rule in self.groups.iter().flat_map(|group| &group.rules) {
            if !known.insert((&rule.name, &rule.labels)) {
                return Err(Error::new(format!(
                    "there are two rules called {:?} with the same labels: give each a label of its own",
                    rule.name
                )));
            }
        }
        Ok(())
    }
}

impl RuleGroup {
    /// An empty group.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            interval: None,
            rules: Vec::new(),
        }
    }

    /// How often its rules are evaluated; as often as Prometheus does by default unless said otherwise.
    pub fn interval(mut self, interval: impl Into<String>) -> Self {
        self.interval = Some(interval.into());
        self
    }

    /// Adds a rule.
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    fn written<'a>(
        &'a self,
        known: &mut Known,
        everywhere: &[Matcher],
    ) -> Result<WrittenGroup<'a>, Error> {
        if let Some(interval) = &self.interval {
            check_duration(interval)?;
        }
        let mut rules = Vec::new();
        for rule in &self.rules {
            let about = |error| Error::new(format!("rule {:?}: {error}", rule.name));
            rules.push(rule.written(known, everywhere).map_err(about)?);
        }
        Ok(WrittenGroup {
            name: &self.name,
            interval: self.interval.as_deref(),
            rules,
        })
    }
}

impl Rule {
    /// An alert for each series that the query gives. Its name is one word, `LikeThis`.
    pub fn alert(name: impl Into<String>, query: Query) -> Self {
        let alert = Some(Alert::default());
        Self::new(name.into(), query, alert)
    }

    /// Records what the query gives as a series of this name: `level:metric:operations`, where the level
    /// says which labels are left. [`Query::value`] reads it in rules after this one.
    pub fn record(name: impl Into<String>, query: Query) -> Self {
        Self::new(name.into(), query, None)
    }

    fn new(name: String, query: Query, alert: Option<Alert>) -> Self {
        Self {
            name,
            query,
            alert,
            labels: BTreeMap::new(),
        }
    }

    /// For how long it must be so before the alert fires.
    pub fn lasting(mut self, duration: impl Into<String>) -> Self {
        self.alert.get_or_insert_default().lasting = Some(duration.into());
        self
    }

    /// How bad it is: the label `severity`.
    pub fn severity(self, severity: Severity) -> Self {
        self.label("severity", severity.label())
    }

    /// A label that the alert or the recorded series has.
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(name.into(), value.into());
        self
    }

    /// One line for whoever is woken; `{{ $labels.endpoint }}` and `{{ $value }}` are filled in.
    pub fn summary(mut self, summary: impl Into<String>) -> Self {
        self.alert.get_or_insert_default().summary = summary.into();
        self
    }

    /// What it means, and what to do about it.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.alert.get_or_insert_default().description = description.into();
        self
    }

    fn written<'a>(
        &'a self,
        known: &mut Known,
        everywhere: &[Matcher],
    ) -> Result<WrittenRule<'a>, Error> {
        let place = Place {
            known,
            everywhere,
            window: RULE_WINDOW,
        };
        let Written { text, labels } = self.query.node.written(&place)?;
        let mut labels = labels.unwrap_or_default();
        for name in self.labels.keys() {
            check_label_name(name)?;
            labels.insert(name.clone());
        }
        let mut written = WrittenRule {
            record: None,
            alert: None,
            expr: text,
            lasting: None,
            labels: &self.labels,
            annotations: BTreeMap::new(),
        };
        let Some(alert) = &self.alert else {
            check_recorded_name(&self.name)?;
            known.add_recorded(&self.name, labels)?;
            written.record = Some(&self.name);
            return Ok(written);
        };
        alert.check(&self.name, &labels)?;
        written.alert = Some(&self.name);
        written.lasting = alert.lasting.as_deref();
        written.annotations = [
            ("summary", alert.summary.as_str()),
            ("description", alert.description.as_str()),
        ]
        .into();
        Ok(written)
    }
}

impl Alert {
    fn check(&self, name: &str, labels: &Labels) -> Result<(), Error> {
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Err(Error::new(
                "an alert's name is one word of letters and digits",
            ));
        }
        let missing = [
            ("severity", !labels.contains("severity")),
            ("summary", self.summary.is_empty()),
            ("description", self.description.is_empty()),
        ];
        if let Some((what, _)) = missing.into_iter().find(|(_, missing)| *missing) {
            return Err(Error::new(format!("it has no {what}")));
        }
        if let Some(lasting) = &self.lasting {
            check_duration(lasting)?;
        }
        check_labels_of(&self.summary, labels)?;
        check_labels_of(&self.description, labels)
    }
}

/// Refuses `$labels.label` for a label that the alert does not have.
fn check_labels_of(text: &str, labels: &Labels) -> Result<(), Error> {
    for part in text.split("$labels.").skip(1) {
        let is_name = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
        let label: String = part.chars().take_while(is_name).collect();
        if !labels.contains(&label) {
            return Err(Error::new(format!(
                "{text:?} names the label {label:?}, which is not left; there is {}",
                listed(labels)
            )));
        }
    }
    Ok(())
}

fn check_recorded_name(name: &str) -> Result<(), Error> {
    check_metric_name(name)?;
    let parts: Vec<_> = name.split(':').collect();
    if parts.len() >= 3 && parts.iter().all(|part| !part.is_empty()) {
        return Ok(());
    }
    Err(Error::new(
        "a recorded series is called `level:metric:operations`, as in `job:http_requests:rate5m`",
    ))
}

#[derive(Serialize)]
struct WrittenRules<'a> {
    groups: Vec<WrittenGroup<'a>>,
}

#[derive(Serialize)]
struct WrittenGroup<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<&'a str>,
    rules: Vec<WrittenRule<'a>>,
}

#[derive(Serialize)]
struct WrittenRule<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alert: Option<&'a str>,
    expr: String,
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    lasting: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'a str, &'a str>,
}
