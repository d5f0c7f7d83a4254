//! [`Dashboard::of_families`]: panels for each metric family, by its type.

use std::collections::BTreeMap;

use tower_prometheus::{
    Unit,
    model::{FamilyDescription, MetricKind},
};

use super::common::{OVERFLOW, quantiles};
use crate::dashboard::Dashboard;
use crate::definitions::Definitions;
use crate::panel::{Panel, PanelUnit, Row};
use crate::query::Query;

impl Dashboard {
    /// Creates a dashboard with one or two panels for each metric family.
    ///
    /// | type | panels |
    /// |---|---|
    /// | counter | its rate, by all its labels |
    /// | gauge | its value |
    /// | gauge with `timestamp` in its name (in seconds) | the date and time |
    /// | histogram | p50, p95 and p99; the rate of its observations |
    /// | summary | its quantiles |
    /// | info | a table of its labels |
    /// | state set | a line for each state, which is 1 while it is the current state, otherwise 0 |
    ///
    /// Rows are named after the first word of the metric names. Families that are alone in their row are in the row
    /// `Others`. If all names share a prefix, row and panel titles omit it. Use this dashboard as a starting point for
    /// a catalogue that has no dashboard yet.
    pub fn of_families(
        uid: impl Into<String>,
        title: impl Into<String>,
        definitions: impl Into<Definitions>,
    ) -> Self {
        let definitions = definitions.into();
        let rows = rows(definitions.families());
        let dashboard = Self::new(uid, title, definitions);
        rows.into_iter().fold(dashboard, Self::row)
    }
}

impl Row {
    /// Creates a row with one or two panels for each metric family, as those of [`Dashboard::of_families`].
    ///
    /// If all names share a prefix, panel titles omit it. The definitions of the dashboard must contain the families:
    /// [`Dashboard::and_definitions`] adds them to the dashboard of a layer.
    pub fn of_families(title: impl Into<String>, families: &[FamilyDescription]) -> Self {
        let prefix = shared_prefix(families);
        let panels = families.iter().flat_map(|family| panels(family, prefix));
        panels.fold(Self::new(title), Self::panel)
    }
}

fn rows(families: &[FamilyDescription]) -> Vec<Row> {
    const OTHERS: &str = "Others";
    let prefix = shared_prefix(families);
    let mut groups: BTreeMap<&str, Vec<&FamilyDescription>> = BTreeMap::new();
    for family in families {
        let short = short_name(family, prefix);
        let word = short.split('_').next().unwrap_or(short);
        groups.entry(word).or_default().push(family);
    }
    let mut rows = Vec::new();
    let mut others = Row::new(OTHERS);
    for (word, families) in groups {
        let panels = families.iter().flat_map(|family| panels(family, prefix));
        match families.len() {
            1 => others = panels.fold(others, Row::panel),
            _ => rows.push(panels.fold(Row::new(capitalised(word)), Row::panel)),
        }
    }
    if !others.panels.is_empty() {
        rows.push(others);
    }
    rows
}

/// Returns the prefix that all names share, up to and including a `_`. The overflow metric is ignored, because
/// it has no prefix in any registry.
fn shared_prefix(families: &[FamilyDescription]) -> &str {
    let families: Vec<_> = families.iter().filter(|f| f.name != OVERFLOW).collect();
    let Some((first, others)) = families.split_first() else {
        return "";
    };
    if others.is_empty() {
        return "";
    }
    let ends = first.name.match_indices('_').map(|(at, _)| at + 1);
    let is_shared = |end: &usize| {
        let prefix = &first.name[..*end];
        others.iter().all(|family| family.name.starts_with(prefix))
    };
    let end = ends.take_while(is_shared).last();
    end.map_or("", |end| &first.name[..end])
}

/// Returns the name of the family without the prefix, if it has the prefix.
fn short_name<'a>(family: &'a FamilyDescription, prefix: &str) -> &'a str {
    family.name.strip_prefix(prefix).unwrap_or(&family.name)
}

/// Returns the panels of one family. Titles omit the prefix of its name.
pub(crate) fn panels(family: &FamilyDescription, prefix: &str) -> Vec<Panel> {
    let name = family.name.as_str();
    let title = words(short_name(family, prefix));
    let labels = || family.labels.iter().map(|label| label.name.clone());
    // `shown` says what the panel shows of the family.
    let described = |panel: Panel, shown: String| {
        panel.description(match family.help.trim_end_matches('.') {
            "" => shown,
            help => format!("{help}. {shown}"),
        })
    };
    let rate = |title: String, of: &str, unit| {
        let panel = Panel::time_series(title, unit).query(Query::rate(name).by(labels()));
        described(panel, format!("{of} `{name}` per second."))
    };
    match family.kind {
        MetricKind::Counter => vec![rate(title, "Increase of", per_second(family))],
        MetricKind::Histogram => {
            let panel = Panel::time_series(format!("{title}: quantiles"), unit_of(family));
            let panel = quantiles(panel, name);
            vec![
                described(panel, format!("Quantiles of `{name}`.")),
                rate(
                    format!("{title}: observations"),
                    "Observations of",
                    PanelUnit::OpsPerSecond,
                ),
            ]
        }
        MetricKind::Info => {
            let panel = Panel::table(title, PanelUnit::Count).query(Query::value(name));
            vec![described(panel, format!("Labels of `{name}`."))]
        }
        MetricKind::Gauge if name.contains("timestamp") => {
            let milliseconds = Query::value(name) * 1000.0;
            let panel = Panel::stat(title, PanelUnit::DateTime)
                .size(12, 8)
                .query(milliseconds);
            vec![described(panel, format!("Date and time of `{name}`."))]
        }
        _ => {
            let panel = Panel::time_series(title, unit_of(family)).query(Query::value(name));
            vec![described(panel, format!("Value of `{name}`."))]
        }
    }
}

fn unit_of(family: &FamilyDescription) -> PanelUnit {
    let ends_with = |words: &str| {
        let name = family.name.trim_end_matches("_total");
        name.ends_with(words)
    };
    match family.unit {
        Some(Unit::Seconds) => PanelUnit::Seconds,
        Some(Unit::Milliseconds) => PanelUnit::Other("ms"),
        Some(Unit::Microseconds) => PanelUnit::Other("µs"),
        Some(Unit::Nanoseconds) => PanelUnit::Other("ns"),
        Some(Unit::Bytes) => PanelUnit::Bytes,
        Some(Unit::Kibibytes) => PanelUnit::Other("kbytes"),
        Some(Unit::Mebibytes) => PanelUnit::Mebibytes,
        Some(Unit::Gibibytes) => PanelUnit::Other("gbytes"),
        Some(Unit::Percent) => PanelUnit::Percent,
        Some(_) => PanelUnit::Count,
        None if ends_with("_seconds") => PanelUnit::Seconds,
        None if ends_with("_bytes") => PanelUnit::Bytes,
        None if ends_with("_ratio") => PanelUnit::Ratio,
        None if ends_with("_percent") => PanelUnit::Percent,
        None => PanelUnit::Count,
    }
}

fn per_second(family: &FamilyDescription) -> PanelUnit {
    match unit_of(family) {
        PanelUnit::Bytes => PanelUnit::BytesPerSecond,
        // Seconds per second have no unit: a number of used processors, or a fraction of the time.
        PanelUnit::Seconds => PanelUnit::Count,
        _ => PanelUnit::OpsPerSecond,
    }
}

fn words(name: &str) -> String {
    capitalised(&name.trim_end_matches("_total").replace('_', " "))
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    match letters.next() {
        None => String::new(),
        Some(first) => first.to_uppercase().chain(letters).collect(),
    }
}
