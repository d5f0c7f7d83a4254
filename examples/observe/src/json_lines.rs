//! A snapshot as JSON lines, as log shippers read them: one object for each series.

use std::io::{self, Write};

use serde_json::{Map, Value as Json, json};
use tower_prometheus::model::Number;
use tower_prometheus::snapshot::{FamilySnapshot, HistogramValue, SeriesSnapshot, Snapshot, Value};

/// Writes one line for each series. `unix_seconds` is the time of the snapshot.
///
/// | type | members besides `time`, `name`, `type` and `labels` |
/// |---|---|
/// | counter, gauge | `value` |
/// | info | none |
/// | stateset | `value`: `true` for the current state |
/// | histogram | `count`, `sum`, `buckets`: pairs of the upper bound and the cumulative count |
/// | summary | `count`, `sum`, `quantiles`: pairs of the quantile and its value |
///
/// JSON has no NaN and no infinity: they are the strings `"NaN"`, `"+Inf"` and `"-Inf"`, as on the metrics page.
///
/// # Errors
///
/// Returns an error if `output` cannot be written.
pub fn write(snapshot: &Snapshot, unix_seconds: u64, output: &mut impl Write) -> io::Result<()> {
    for family in snapshot.families() {
        for series in family.series() {
            let mut line = object(&family, &series);
            line.insert("time".to_owned(), unix_seconds.into());
            writeln!(output, "{}", Json::Object(line))?;
        }
    }
    Ok(())
}

fn object(family: &FamilySnapshot<'_>, series: &SeriesSnapshot<'_>) -> Map<String, Json> {
    let labels = series.labels();
    let labels = labels.map(|(name, value)| (name.to_owned(), Json::from(value.into_owned())));
    let mut object = Map::new();
    object.insert("name".to_owned(), family.name().into());
    object.insert("type".to_owned(), family.kind().as_str().into());
    object.insert("labels".to_owned(), Json::Object(labels.collect()));
    let mut add = |member: &str, value: Json| object.insert(member.to_owned(), value);
    match series.value() {
        Value::Counter(value) | Value::Gauge(value) => {
            add("value", number(value));
        }
        Value::State(is_current) => {
            add("value", is_current.into());
        }
        Value::Histogram(histogram) => {
            add("count", histogram.count().into());
            add("sum", float(histogram.sum()));
            add("buckets", buckets(&histogram));
        }
        Value::Summary(summary) => {
            let quantiles = summary.quantiles.iter();
            let quantiles = quantiles.map(|(quantile, value)| json!([quantile, float(*value)]));
            add("count", summary.count.into());
            add("sum", float(summary.sum));
            add("quantiles", quantiles.collect());
        }
        // `Value::Info`, and types of later versions.
        _ => {}
    }
    object
}

fn buckets(histogram: &HistogramValue<'_>) -> Json {
    let buckets = histogram.buckets();
    let buckets = buckets.map(|bucket| json!([float(bucket.upper_bound), bucket.cumulative_count]));
    buckets.collect()
}

fn number(number: Number) -> Json {
    match number {
        Number::Integer(n) => n.into(),
        Number::Float(x) => float(x),
    }
}

fn float(x: f64) -> Json {
    match x {
        x if x.is_finite() => x.into(),
        x if x.is_nan() => "NaN".into(),
        x if x > 0.0 => "+Inf".into(),
        _ => "-Inf".into(),
    }
}
