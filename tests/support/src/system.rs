//! Compares the metrics page of a running example system with the table of its metric families.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::page::assert_valid_text;
use super::process::curl;

/// A metric family in the table of a system.
pub struct Row {
    pub name: &'static str,
    pub kind: &'static str,
    /// Each label with its values. A label with any other values has an empty list.
    pub labels: &'static [(&'static str, &'static [&'static str])],
    /// The upper bounds of a histogram without `+Inf`.
    pub buckets: &'static [f64],
}

/// A family that is not a histogram.
pub const fn row(
    kind: &'static str,
    name: &'static str,
    labels: &'static [(&'static str, &'static [&'static str])],
) -> Row {
    histogram_row(kind, name, labels, &[])
}

pub const fn histogram_row(
    kind: &'static str,
    name: &'static str,
    labels: &'static [(&'static str, &'static [&'static str])],
    buckets: &'static [f64],
) -> Row {
    Row {
        name,
        kind,
        labels,
        buckets,
    }
}

/// Scrapes until the condition is true for the page, and returns this page. Panics after 30 s.
#[track_caller]
pub fn wait_for_page(
    url: &str,
    description: &str,
    mut condition: impl FnMut(&str) -> bool,
) -> String {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let page = curl(&[url]);
        if condition(&page) {
            return page;
        }
        assert!(
            Instant::now() < deadline,
            "no page within 30 s with: {description}\n{page}"
        );
        // Leaves the processor to the system under test.
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Asserts that the page has every family of the table.
///
/// Each must have its type, its buckets, at least one series, and only the labels of the table and those in `constant`.
/// For each combination of values of open labels, there must be a series for every combination of listed values.
#[track_caller]
pub fn assert_page_matches_table(page: &str, constant: &[&str], table: &[Row]) {
    assert_valid_text(page);
    let families = families(page);
    for row in table {
        let family = families.get(row.name);
        let (kind, series) =
            family.unwrap_or_else(|| panic!("the page has no family {}\n{page}", row.name));
        assert_eq!(*kind, row.kind, "{}", row.name);
        assert!(!series.is_empty(), "{} has no series\n{page}", row.name);
        assert_labels(series, constant, row, page);
        assert_closed_values(series, row, page);
        assert_buckets(series, row);
    }
}

type Labels = BTreeMap<String, String>;

/// The type of each family and the labels of its samples.
fn families(page: &str) -> BTreeMap<&str, (&str, Vec<Labels>)> {
    let mut families = BTreeMap::new();
    let mut family = "";
    for line in page.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|t| t.split_once(' ')) {
            family = name;
            families.insert(family, (kind, Vec::new()));
        } else if !line.starts_with('#') {
            let (_, series) = families
                .get_mut(family)
                .expect("a TYPE line comes before the samples");
            series.push(labels(line));
        }
    }
    families
}

/// The labels of a sample. Label values of the systems contain no quotes.
fn labels(line: &str) -> Labels {
    let Some((_, rest)) = line.split_once('{') else {
        return Labels::new();
    };
    let (text, _) = rest.rsplit_once("} ").unwrap();
    let pairs = text.trim_end_matches('"').split("\",");
    let pairs = pairs.map(|pair| pair.split_once("=\"").unwrap());
    pairs.map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
}

#[track_caller]
fn assert_labels(series: &[Labels], constant: &[&str], row: &Row, page: &str) {
    let declared = row.labels.iter().map(|(name, _)| *name);
    let expected: BTreeSet<_> = declared.chain(constant.iter().copied()).collect();
    for labels in series {
        let names = labels.keys().map(String::as_str);
        let names: BTreeSet<_> = names.filter(|name| *name != "le").collect();
        assert_eq!(names, expected, "{}\n{page}", row.name);
    }
}

/// Asserts that for each combination of open values, there is a series for every combination of closed values, and no
/// other.
#[track_caller]
fn assert_closed_values(series: &[Labels], row: &Row, page: &str) {
    let (closed, open): (Vec<_>, Vec<_>) = row
        .labels
        .iter()
        .copied()
        .partition(|(_, v): &(&str, &[&str])| !v.is_empty());
    let mut combinations = vec![Vec::new()];
    for (_, values) in &closed {
        combinations = combinations
            .iter()
            .flat_map(|known| values.iter().map(move |v| [&known[..], &[*v]].concat()))
            .collect();
    }
    let of = |labels: &Labels, wanted: &[(&str, &[&str])]| -> Vec<String> {
        let names = wanted.iter().map(|(name, _)| *name);
        names.map(|name| labels[name].clone()).collect()
    };
    let seen: BTreeSet<_> = series
        .iter()
        .map(|labels| (of(labels, &open), of(labels, &closed)))
        .collect();
    let opens: BTreeSet<_> = seen.iter().map(|(open, _)| open.clone()).collect();
    for open in opens {
        for closed in &combinations {
            let closed: Vec<_> = closed.iter().map(|v| (*v).to_owned()).collect();
            let series = (open.clone(), closed);
            assert!(
                seen.contains(&series),
                "{} has no series with the values {series:?}\n{page}",
                row.name
            );
        }
    }
    let allowed =
        |(_, values): &(Vec<String>, Vec<String>)| combinations.iter().any(|known| known == values);
    assert!(
        seen.iter().all(allowed),
        "{} has values that are not in the table: {seen:?}",
        row.name
    );
}

#[track_caller]
fn assert_buckets(series: &[Labels], row: &Row) {
    let bounds = series.iter().filter_map(|labels| labels.get("le"));
    let bounds: BTreeSet<_> = bounds.cloned().collect();
    let mut bounds: Vec<f64> = bounds
        .iter()
        .map(|le| le.replace("Inf", "inf").parse().unwrap())
        .filter(|bound: &f64| bound.is_finite())
        .collect();
    bounds.sort_by(f64::total_cmp);
    assert_eq!(bounds, row.buckets, "{}", row.name);
}
