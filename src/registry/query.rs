//! [`Registry::value`]: one number, for tests.

#[cfg(feature = "summary")]
use super::QUANTILES;
use super::Registry;
use super::family::{Family, Kind, Place};
use super::names::escape_label_value;
use super::snapshot::Snapshot;
use crate::exposition::{Format, push_float};

impl Registry {
    /// The sum of all samples of that name whose labels include `labels`; `None` if there are none.
    ///
    /// Names are as on the page, so a histogram has `…_count`, `…_sum` and `…_bucket` with its `le`, a summary a
    /// `quantile`.
    ///
    /// ```
    /// # let registry = tower_prometheus::Registry::new();
    /// # metrics::with_local_recorder(&registry, || {
    /// metrics::histogram!("latency_seconds", "kind" => "read").record(0.03);
    /// metrics::histogram!("latency_seconds", "kind" => "write").record(0.07);
    /// # });
    /// assert_eq!(registry.value("latency_seconds_count", &[]), Some(2.0));
    /// assert_eq!(registry.value("latency_seconds_sum", &[("kind", "read")]), Some(0.03));
    /// assert_eq!(registry.value("latency_seconds_bucket", &[("le", "0.05")]), Some(1.0));
    /// assert_eq!(registry.value("latency_seconds_count", &[("kind", "erase")]), None);
    /// ```
    #[must_use]
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let snapshot = Snapshot::now(self);
        let mut sum = None;
        for (family, index) in &snapshot.families {
            let Some(suffix) = name.strip_prefix(&family.name) else {
                continue;
            };
            for i in 0..index.len() {
                let (head, place) = index.get(i);
                let own = family.labels_of(head);
                each_sample(&snapshot, family, place, suffix, |le, value| {
                    if labels.iter().all(|label| has_label(own, le, label)) {
                        *sum.get_or_insert(0.0) += value;
                    }
                });
            }
        }
        sum
    }
}

/// Calls `f` with the bucket bound or the quantile, if there is one, and the value of each sample of a series whose
/// name is that of the family and `suffix`.
fn each_sample(
    snapshot: &Snapshot,
    family: &Family,
    Place { cell, sum }: Place,
    suffix: &str,
    mut f: impl FnMut(Option<&str>, f64),
) {
    match (&family.kind, suffix) {
        (Kind::Counter, "") => f(None, snapshot.count(cell) as f64),
        (Kind::FractionalCounter, "") => f(None, snapshot.sum(sum)),
        #[cfg(feature = "summary")]
        (Kind::Summary, "_sum") => f(None, snapshot.sum(sum)),
        #[cfg(feature = "summary")]
        (Kind::Summary, "_count") => f(None, snapshot.count(cell) as f64),
        #[cfg(feature = "summary")]
        (Kind::Summary, "") => {
            let window = family.window(cell);
            let values = window.map_or([f64::NAN; QUANTILES.len()], |window| window.quantiles());
            for (quantile, value) in QUANTILES.into_iter().zip(values) {
                f(Some(&quantile.to_string()), value);
            }
        }
        (Kind::Info, "") => f(None, 1.0),
        (Kind::Gauge, "") => f(None, snapshot.gauge(cell)),
        (Kind::InProgress, "") => f(None, snapshot.in_progress(cell) as f64),
        (Kind::Histogram(_), "_sum") => f(None, snapshot.sum(sum)),
        (Kind::Histogram(buckets), "_count") => {
            let buckets = snapshot.buckets(cell, buckets.count());
            let count = buckets.iter().fold(0_u64, |sum, n| sum.saturating_add(*n));
            f(None, count as f64);
        }
        (Kind::Histogram(buckets), "_bucket") => {
            let mut below = 0_u64;
            let bounds = buckets.bounds().iter().copied().chain([f64::INFINITY]);
            for (bound, count) in bounds.zip(snapshot.buckets(cell, buckets.count())) {
                below = count.saturating_add(below);
                let mut le = Vec::new();
                push_float(&mut le, bound, Format::Text);
                f(std::str::from_utf8(&le).ok(), below as f64);
            }
        }
        _ => {}
    }
}

fn has_label(text: &str, le: Option<&str>, (name, value): &(&str, &str)) -> bool {
    if *name == "le" || *name == "quantile" {
        return le == Some(value);
    }
    let mut wanted = String::new();
    escape_label_value(&mut wanted, value);
    pairs(text).any(|(known, value)| known == *name && value == wanted)
}

/// Names and escaped values of a label text.
fn pairs(mut text: &str) -> impl Iterator<Item = (&str, &str)> {
    std::iter::from_fn(move || {
        let (name, rest) = text.split_once("=\"")?;
        let mut escaped = false;
        let end = rest.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        })?;
        text = rest[end + 1..].trim_start_matches(',');
        Some((name, &rest[..end]))
    })
}
