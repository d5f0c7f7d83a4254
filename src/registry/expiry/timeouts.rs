//! [`IdleTimeouts`]: after which time a series without a recording expires.

use std::time::Duration;

use crate::error::Error;
use crate::model::names::sanitize_metric_name;
use crate::registry::name_rules::{Closeness, NameRules};

/// The idle timeouts of a registry, by metric and by label. `None` means that series never expire.
#[derive(Clone, Debug, Default)]
pub(crate) struct IdleTimeouts {
    by_name: NameRules<Option<Duration>>,
    by_label: Vec<(String, Option<Duration>)>,
}

impl IdleTimeouts {
    /// Checks the settings.
    pub(crate) fn checked(
        by_name: NameRules<Option<Duration>>,
        by_label: Vec<(String, Option<Duration>)>,
    ) -> Result<Self, Error> {
        for (i, (label, timeout)) in by_label.iter().enumerate() {
            let at = format!("idle_timeout_for_label({label:?})");
            if by_label[..i].iter().any(|(other, _)| other == label) {
                return Err(Error::new(format!("{at} is set twice; remove one of them")));
            }
            if label.is_empty() {
                return Err(Error::new(format!("{at}: the label name is empty")));
            }
            check(*timeout).map_err(|error| error.within(&at))?;
        }
        Ok(Self {
            by_name: by_name.checked("idle_timeout", check)?,
            by_label,
        })
    }

    /// Returns the shortest timeout; `None` if no series expires.
    pub(crate) fn shortest(&self) -> Option<Duration> {
        let by_pattern = self
            .by_name
            .values()
            .chain(self.by_label.iter().map(|(_, timeout)| timeout));
        by_pattern.copied().flatten().min()
    }

    /// Returns the timeout of a series: that of its name, else of its prefix, else the shortest of its labels, else the
    /// default.
    pub(crate) fn of<'a>(
        &self,
        name: &str,
        labels: impl Iterator<Item = &'a str>,
    ) -> Option<Duration> {
        if self.by_label.is_empty() && self.by_name.by_pattern.is_empty() {
            return self.by_name.default.flatten();
        }
        let by_name = self.by_name.find(&sanitize_metric_name(name));
        if let Some((closeness, timeout)) = by_name
            && closeness > Closeness::Default
        {
            return *timeout;
        }
        let of_label = |label: &str| {
            let rule = self.by_label.iter().find(|(known, _)| known == label);
            rule.map(|(_, timeout)| *timeout)
        };
        // `None` is the longest.
        let by_label = labels
            .filter_map(of_label)
            .min_by_key(|timeout| timeout.unwrap_or(Duration::MAX));
        by_label.unwrap_or_else(|| by_name.and_then(|(_, timeout)| *timeout))
    }
}

fn check(timeout: Option<Duration>) -> Result<Option<Duration>, Error> {
    if timeout == Some(Duration::ZERO) {
        return Err(Error::new(
            "the time must be more than 0, and at least two scrape intervals; for series that never expire, use `None`",
        ));
    }
    Ok(timeout)
}
