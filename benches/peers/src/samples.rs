//! Exported samples, and what changed in them.

use std::collections::{BTreeMap, BTreeSet};

/// The values of all series of a page or an export.
#[derive(Clone, Debug, Default)]
pub struct Samples(BTreeMap<Series, f64>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Series {
    name: String,
    labels: BTreeMap<String, String>,
}

impl Samples {
    /// Parses a page in the text format. Label values must not contain quotes.
    pub fn parse(page: &str) -> Self {
        let lines = page.lines().filter(|line| !line.starts_with('#'));
        Self(lines.filter_map(sample).collect())
    }

    pub fn insert(
        &mut self,
        name: &str,
        labels: impl IntoIterator<Item = (String, String)>,
        value: f64,
    ) {
        let series = Series {
            name: name.to_owned(),
            labels: labels.into_iter().collect(),
        };
        self.0.insert(series, value);
    }

    /// Returns the number of series.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the series whose value changed, with the difference.
    pub fn since(&self, before: &Self) -> Self {
        let changes = self.0.iter().map(|(series, value)| {
            let before = before.0.get(series).copied().unwrap_or(0.0);
            (series.clone(), value - before)
        });
        Self(changes.filter(|(_, change)| *change != 0.0).collect())
    }

    /// Returns whether there is a series of a name.
    pub fn has(&self, name: &str) -> bool {
        self.0.keys().any(|series| series.name == name)
    }

    /// Returns the sum of the series of a name.
    pub fn sum(&self, name: &str) -> f64 {
        let series = self.0.iter().filter(|(series, _)| series.name == name);
        series.map(|(_, value)| value).sum()
    }

    /// Returns the values of a label in the series of a name, `None` for a series without the label.
    pub fn values(&self, name: &str, label: &str) -> BTreeSet<Option<&str>> {
        let series = self.0.keys().filter(|series| series.name == name);
        series
            .map(|series| series.labels.get(label).map(String::as_str))
            .collect()
    }
}

fn sample(line: &str) -> Option<(Series, f64)> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}')?),
        None => (series, ""),
    };
    let mut series = Series {
        name: name.to_owned(),
        labels: BTreeMap::new(),
    };
    let mut rest = labels;
    while let Some((label, after)) = rest.split_once("=\"") {
        let (value, after) = after.split_once('"')?;
        series.labels.insert(label.to_owned(), value.to_owned());
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    Some((series, value.parse().ok()?))
}
