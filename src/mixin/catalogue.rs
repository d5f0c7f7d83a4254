//! A dashboard of any families: a panel for each, by what it is.

use std::collections::BTreeMap;

use metrics::Unit;

use super::dashboard::Dashboard;
use super::definitions::Definitions;
use super::http::{OVERFLOW, QUANTILES};
use super::panel::{Panel, PanelUnit, Row};
use super::query::Query;
use crate::app::{FamilyDescription, FamilyKind};

impl Dashboard {
    /// A dashboard of any families, one or two panels for each: of a counter its rate by its labels, of a gauge
    /// its value, of a histogram p50, p95, p99 and how many samples, of an info a table, of a summary its
    /// quantiles. In rows by what their names begin with, once what all begin with is left out.
    ///
    /// It is what to look at before anybody has made a better one.
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

fn rows(families: &[FamilyDescription]) -> Vec<Row> {
    const REST: &str = "Others";
    let shared = shared_prefix(families);
    let prefix = |family: &FamilyDescription| match family.name == OVERFLOW {
        true => 0,
        false => shared,
    };
    let mut groups: BTreeMap<&str, Vec<&FamilyDescription>> = BTreeMap::new();
    for family in families {
        let short = &family.name[prefix(family)..];
        let word = short.split('_').next().unwrap_or(short);
        groups.entry(word).or_default().push(family);
    }
    let mut rows = Vec::new();
    let mut rest = Row::new(REST);
    for (word, families) in groups {
        let panels = families
            .iter()
            .flat_map(|family| panels(family, prefix(family)));
        match families.len() {
            1 => rest = panels.fold(rest, Row::panel),
            _ => rows.push(panels.fold(Row::new(capitalised(word)), Row::panel)),
        }
    }
    if !rest.panels.is_empty() {
        rows.push(rest);
    }
    rows
}

/// How much of every name is the same, up to a `_`; names of different families always differ after it. That of
/// overflows has no prefix in any registry, and does not count.
fn shared_prefix(families: &[FamilyDescription]) -> usize {
    let families: Vec<_> = families.iter().filter(|f| f.name != OVERFLOW).collect();
    let Some((first, others)) = families.split_first() else {
        return 0;
    };
    if others.is_empty() {
        return 0;
    }
    let ends = first.name.match_indices('_').map(|(at, _)| at + 1);
    let is_shared = |end: &usize| {
        let prefix = &first.name[..*end];
        others.iter().all(|family| family.name.starts_with(prefix))
    };
    ends.take_while(is_shared).last().unwrap_or(0)
}

/// The panels of one family; its name is shown without what all begin with.
pub(super) fn panels(family: &FamilyDescription, prefix: usize) -> Vec<Panel> {
    let name = family.name.as_str();
    let title = words(&name[prefix..]);
    let labels = || family.labels.iter().map(|label| label.name.clone());
    let described = |panel: Panel, how: &str| {
        let help = match family.help.is_empty() {
            true => format!("`{name}`."),
            false => format!("{} `{name}`", family.help),
        };
        panel.description(format!("{help}, {how}."))
    };
    let rate = |title: String, unit| {
        let panel = Panel::time_series(title, unit).query(Query::rate(name).by(labels()));
        described(panel, "how much it grows a second")
    };
    match family.kind {
        FamilyKind::Counter => vec![rate(title, per_second(family))],
        FamilyKind::Histogram => {
            let panel = Panel::time_series(format!("{title}: quantiles"), unit_of(family));
            let panel = QUANTILES
                .into_iter()
                .fold(panel, |panel, (word, quantile)| {
                    panel.query(Query::quantile(quantile, name).legend(word))
                });
            vec![
                described(panel, "what half, 19 in 20 and 99 in 100 do not exceed"),
                rate(format!("{title}: samples"), PanelUnit::EventsPerSecond),
            ]
        }
        FamilyKind::Info => {
            let panel = Panel::table(title, PanelUnit::Count).query(Query::value(name));
            vec![described(panel, "what each instance is")]
        }
        FamilyKind::Gauge if name.contains("timestamp") => {
            let moment = Query::value(name) * 1000.0;
            let panel = Panel::stat(title, PanelUnit::Moment)
                .size(12, 8)
                .query(moment);
            vec![described(panel, "when it last was")]
        }
        FamilyKind::Gauge | FamilyKind::Summary => {
            let panel = Panel::time_series(title, unit_of(family)).query(Query::value(name));
            vec![described(panel, "as it is at each moment")]
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
        // Seconds a second: how many processors, or how much of the time.
        PanelUnit::Seconds => PanelUnit::Count,
        _ => PanelUnit::EventsPerSecond,
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
