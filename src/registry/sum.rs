//! [`Registry::sum`]: the value of a metric, for tests.

use crate::model::numbers::{WholeNumbers, push_float};
use crate::registry::Registry;
use crate::registry::expiry::pages::Purpose;
use crate::registry::snapshot::{SeriesSnapshot, Value};

impl Registry {
    /// Returns the sum of all samples with this name and these labels, for tests.
    ///
    /// A sample may have labels besides `labels`. Returns `None` if no sample matches. Each call reads the whole
    /// registry.
    ///
    /// Sample names are those of the metrics page:
    ///
    /// | type | sample names |
    /// |---|---|
    /// | counter, gauge, info, state set | the name of the metric |
    /// | histogram | `…_count`, `…_sum`, and `…_bucket` with the label `le` |
    /// | summary | `…_count`, `…_sum`, and the name of the metric with the label `quantile` |
    ///
    /// The call is synchronous, so metrics of collectors are not included; to read them, use
    /// [`gather`](Self::gather).
    ///
    /// ```
    /// # let registry = tower_prometheus::Registry::new();
    /// # metrics::with_local_recorder(&registry, || {
    /// metrics::histogram!("latency_seconds", "kind" => "read").record(0.03);
    /// metrics::histogram!("latency_seconds", "kind" => "write").record(0.07);
    /// # });
    /// assert_eq!(registry.sum("latency_seconds_count", &[]), Some(2.0));
    /// assert_eq!(registry.sum("latency_seconds_sum", &[("kind", "read")]), Some(0.03));
    /// assert_eq!(registry.sum("latency_seconds_bucket", &[("le", "0.05")]), Some(1.0));
    /// assert_eq!(registry.sum("latency_seconds_count", &[("kind", "erase")]), None);
    /// ```
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let snapshot = self.snapshot_now(Purpose::Sum);
        let mut sum = None;
        for family in snapshot.families() {
            let Some(suffix) = name.strip_prefix(family.name()) else {
                continue;
            };
            for series in family.series() {
                each_sample(&series.value(), suffix, |part, value| {
                    if labels.iter().all(|label| has_label(&series, part, *label)) {
                        *sum.get_or_insert(0.0) += value;
                    }
                });
            }
        }
        sum
    }
}

/// The label that distinguishes the samples of one series: `le` or `quantile`.
type PartLabel = Option<(&'static str, f64)>;

/// Calls `f` with each sample whose name is the family name followed by `suffix`.
fn each_sample(value: &Value<'_>, suffix: &str, mut f: impl FnMut(PartLabel, f64)) {
    match (value, suffix) {
        (Value::Counter(number) | Value::Gauge(number), "") => f(None, number.as_f64()),
        (Value::Info, "") => f(None, 1.0),
        (Value::State(is_current), "") => f(None, f64::from(u8::from(*is_current))),
        (Value::Histogram(histogram), "_sum") => f(None, histogram.sum()),
        (Value::Histogram(histogram), "_count") => f(None, histogram.count() as f64),
        (Value::Histogram(histogram), "_bucket") => {
            for bucket in histogram.buckets() {
                let le = Some(("le", bucket.upper_bound));
                f(le, bucket.cumulative_count as f64);
            }
        }
        (Value::Summary(summary), "_sum") => f(None, summary.sum),
        (Value::Summary(summary), "_count") => f(None, summary.count as f64),
        (Value::Summary(summary), "") => {
            for (quantile, value) in &summary.quantiles {
                f(Some(("quantile", *quantile)), *value);
            }
        }
        _ => {}
    }
}

fn has_label(series: &SeriesSnapshot<'_>, part: PartLabel, (name, value): (&str, &str)) -> bool {
    if let "le" | "quantile" = name {
        return part
            .is_some_and(|(part, number)| part == name && text_of(number) == value.as_bytes());
    }
    series
        .labels()
        .any(|known| known.0 == name && known.1 == value)
}

fn text_of(number: f64) -> Vec<u8> {
    let mut text = Vec::new();
    push_float(&mut text, number, WholeNumbers::Plain);
    text
}
