//! Samples of metrics pages and of snapshots in one form, to compare them.

use std::collections::BTreeMap;

use tower_prometheus::model::Number;
use tower_prometheus::snapshot::{Snapshot, Value};

/// The name of a sample and its labels, sorted and not escaped.
pub type SampleId = (String, Vec<(String, String)>);

/// Values as text. Equal numbers have the same text: `1` for `1`, `1.0` and `1e0`.
pub type SampleTexts = BTreeMap<SampleId, String>;

/// Returns the samples of a page in the text format.
#[track_caller]
pub fn page_samples(page: &str) -> SampleTexts {
    let lines = page.lines();
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    unique(lines.map(|line| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        ((name.to_owned(), parse_labels(labels)), number_text(value))
    }))
}

/// Returns the samples of a snapshot, with the names that they have on the metrics page.
#[track_caller]
pub fn snapshot_samples(snapshot: &Snapshot) -> SampleTexts {
    let mut samples = Vec::new();
    for family in snapshot.families() {
        for series in family.series() {
            let labels: Vec<_> = series
                .labels()
                .map(|(name, value)| (name.to_owned(), value.into_owned()))
                .collect();
            let mut add = |suffix: &str, label: Option<(&str, f64)>, number: Number| {
                let mut labels = labels.clone();
                labels.extend(label.map(|(name, value)| (name.to_owned(), text(value))));
                labels.sort();
                let name = format!("{}{suffix}", family.name());
                let value = match number {
                    Number::Integer(n) => n.to_string(),
                    Number::Float(x) => text(x),
                };
                samples.push(((name, labels), value));
            };
            match series.value() {
                Value::Counter(number) | Value::Gauge(number) => add("", None, number),
                Value::Info => add("", None, Number::Integer(1)),
                Value::State(is_current) => add("", None, Number::Integer(u64::from(is_current))),
                Value::Histogram(histogram) => {
                    for bucket in histogram.buckets() {
                        let count = Number::Integer(bucket.cumulative_count);
                        add("_bucket", Some(("le", bucket.upper_bound)), count);
                    }
                    add("_sum", None, Number::Float(histogram.sum()));
                    add("_count", None, Number::Integer(histogram.count()));
                }
                Value::Summary(summary) => {
                    for (quantile, value) in summary.quantiles {
                        add("", Some(("quantile", quantile)), Number::Float(value));
                    }
                    add("_sum", None, Number::Float(summary.sum));
                    add("_count", None, Number::Integer(summary.count));
                }
                value => panic!("{value:?}"),
            }
        }
    }
    unique(samples)
}

#[track_caller]
fn unique(samples: impl IntoIterator<Item = (SampleId, String)>) -> SampleTexts {
    let mut texts = SampleTexts::new();
    for (id, text) in samples {
        assert_eq!(
            texts.insert(id.clone(), text),
            None,
            "sample {id:?} is there twice"
        );
    }
    texts
}

/// Parses labels as in `a="1",b="2"}`.
fn parse_labels(mut text: &str) -> Vec<(String, String)> {
    let mut labels = Vec::new();
    while let Some((name, rest)) = text.split_once("=\"") {
        let mut value = String::new();
        let mut chars = rest.char_indices();
        let end = loop {
            match chars.next().unwrap() {
                (i, '"') => break i,
                (_, '\\') => value.push(match chars.next().unwrap().1 {
                    'n' => '\n',
                    c => c,
                }),
                (_, c) => value.push(c),
            }
        };
        let value = match name {
            "le" | "quantile" => number_text(&value),
            _ => value,
        };
        labels.push((name.trim_start_matches(',').to_owned(), value));
        text = rest[end + 1..].trim_start_matches(',');
    }
    labels.sort();
    labels
}

fn number_text(number: &str) -> String {
    match number.parse::<u64>() {
        Ok(n) => n.to_string(),
        Err(_) => text(number.replace("Inf", "inf").parse().unwrap()),
    }
}

fn text(x: f64) -> String {
    match x.fract() == 0.0 && (0.0..1e15).contains(&x) {
        true => (x as u64).to_string(),
        false => format!("{x:?}"),
    }
}
